package swapgate

// #include "shims.h"
import "C"

import "strconv"

// Code is what the gateway answers when something did not work, and what a hook may return as its error.
type Code int32

// The codes of the contract.
const (
	Failed      Code = C.SG_E_FAILED
	Panicked    Code = C.SG_E_PANIC
	Invalid     Code = C.SG_E_INVALID
	NotFound    Code = C.SG_E_NOT_FOUND
	Stale       Code = C.SG_E_STALE
	WrongThread Code = C.SG_E_WRONG_THREAD
	WrongPhase  Code = C.SG_E_WRONG_PHASE
	TooLarge    Code = C.SG_E_TOO_LARGE
	Unavailable Code = C.SG_E_UNAVAILABLE
	Version     Code = C.SG_E_VERSION
	Forbidden   Code = C.SG_E_FORBIDDEN
	Cancelled   Code = C.SG_E_CANCELLED
	Timeout     Code = C.SG_E_TIMEOUT
	Conflict    Code = C.SG_E_CONFLICT
)

var texts = map[Code]string{
	Failed:      "it did not work",
	Panicked:    "it panicked",
	Invalid:     "an argument is malformed",
	NotFound:    "there is no such thing",
	Stale:       "the exchange is over or not the running one",
	WrongThread: "no hook is running on this thread",
	WrongPhase:  "not in this phase",
	TooLarge:    "longer than the gateway takes",
	Unavailable: "not available here",
	Version:     "versions do not fit",
	Forbidden:   "not allowed",
	Cancelled:   "not wanted any more",
	Timeout:     "it took too long",
	Conflict:    "somebody else was first",
}

func (c Code) Error() string {
	if text, known := texts[c]; known {
		return text
	}
	return "code " + strconv.Itoa(int(c))
}

// check makes an error of what a host function answered.
func check(result C.int32_t) error {
	if result < 0 {
		return Code(result)
	}
	return nil
}
