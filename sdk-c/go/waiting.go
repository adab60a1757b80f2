package swapgate

// #include "shims.h"
import "C"

import (
	"math"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Kinds of events.
const (
	EventOpDone = C.SG_EVENT_OP_DONE
	EventWake   = C.SG_EVENT_WAKE
	EventCancel = C.SG_EVENT_CANCEL
	EventDrain  = C.SG_EVENT_DRAIN
)

// Phases, as Event.Phase names the hook that waits.
const (
	PhaseRewrite      = C.SG_PHASE_REWRITE
	PhaseAccess       = C.SG_PHASE_ACCESS
	PhaseRequestBody  = C.SG_PHASE_REQUEST_BODY
	PhaseHeaderFilter = C.SG_PHASE_HEADER_FILTER
	PhaseBodyFilter   = C.SG_PHASE_BODY_FILTER
	PhaseTrailers     = C.SG_PHASE_TRAILERS
)

// Scope is where operations belong: an exchange, or an instance in the background.
type Scope struct{ token uint64 }

// Op names an operation.
type Op uint64

func (s Scope) tok() C.sg_scope_tok { return C.sg_scope_tok(s.token) }

// Token is the gateway's name for it.
func (s Scope) Token() uint64 { return s.token }

// Sleep completes after some time.
func (s Scope) Sleep(duration time.Duration) (Op, error) {
	var op C.sg_op_tok
	err := check(C.sgo_sleep(host, s.tok(), C.uint64_t(max(0, int64(duration))), &op))
	return Op(op), err
}

// Cancel ends an operation without an event.
func (s Scope) Cancel(op Op) error { return check(C.sgo_op_cancel(host, s.tok(), C.sg_op_tok(op))) }

// Waker is for goroutines: it wakes the lane it was made in.
func (s Scope) Waker() (Waker, error) {
	var token C.sg_wake_tok
	err := check(C.sgo_waker(host, s.tok(), &token))
	return Waker{uint64(token)}, err
}

// Waker may be used by any goroutine, as often as one likes.
type Waker struct{ token uint64 }

// Wake has a WAKE event delivered. Stale: the exchange is over, which harms nobody.
func (w Waker) Wake() error { return check(C.sgo_wake(host, C.sg_wake_tok(w.token))) }

// Token is the gateway's name for it.
func (w Waker) Token() uint64 { return w.token }

// WakerOf is the waker of a token that came another way.
func WakerOf(token uint64) Waker { return Waker{token} }

// HTTPRequest is a request to another service.
type HTTPRequest struct {
	Service, URL, Method string
	Headers              []Header
	Body                 string
	Timeout              time.Duration
	MaxBody              uint64
}

// Callout sends a request to another service.
func (s Scope) Callout(r HTTPRequest) (Op, error) {
	table := C.sgo_extension(host, C.SG_HTTP_CALLOUT_ID)
	if table == nil {
		return 0, Unavailable
	}
	ms, err := milliseconds(r.Timeout)
	if err != nil {
		return 0, err
	}
	if ms > math.MaxUint32 {
		ms = math.MaxUint32
	}
	list, free := cHeaders(r.Headers)
	defer free()
	var op C.sg_op_tok
	err = check(C.sgo_callout(table, host, s.tok(), C.uint32_t(ms), r.Service, r.URL, r.Method,
		list, C.size_t(len(r.Headers)), r.Body, C.uint64_t(r.MaxBody), &op))
	return Op(op), err
}

// Resolve looks a host name up.
func (s Scope) Resolve(name string) (Op, error) {
	table := C.sgo_extension(host, C.SG_RESOLVE_ID)
	if table == nil {
		return 0, Unavailable
	}
	var op C.sg_op_tok
	err := check(C.sgo_resolve(table, host, s.tok(), name, &op))
	return Op(op), err
}

// Blocking runs work on a thread of the gateway; what it returns is the event's Result. A goroutine and a Waker do as well.
func (s Scope) Blocking(work func() int32) (Op, error) {
	table := C.sgo_extension(host, C.SG_BLOCKING_ID)
	if table == nil {
		return 0, Unavailable
	}
	handle := cgo.NewHandle(work)
	var op C.sg_op_tok
	err := check(C.sgo_blocking(table, host, s.tok(), C.uintptr_t(handle), &op))
	if err != nil {
		handle.Delete()
	}
	return Op(op), err
}

// Background is that of an instance, for every goroutine until Destroy.
type Background struct{ Scope }

// TickEvery has OnTick called; zero: no more. Invalid: a period that is too short, or below zero.
func (b Background) TickEvery(period time.Duration) error {
	ms, err := milliseconds(period)
	if err != nil {
		return err
	}
	return check(C.sgo_tick_every(host, C.sg_instance_tok(b.token), C.uint64_t(ms)))
}

// Event is what happened. Good until the hook returns.
type Event struct {
	Kind, Lane, Phase uint32
	Op                Op
	Result            int32
	Flags             uint32
	data              unsafe.Pointer
}

func newEvent(raw *C.sg_event) *Event {
	return &Event{
		Kind: uint32(raw.kind), Lane: uint32(raw.lane), Phase: uint32(raw.phase),
		Op: Op(raw.op), Result: int32(raw.result), Flags: uint32(raw.flags), data: raw.data,
	}
}

// HTTPAnswer is what a callout came to.
type HTTPAnswer struct {
	Status  uint32
	Headers []Header
	Body    string
}

// Header is the first value of a header, by its name in lower case.
func (a *HTTPAnswer) Header(name string) string {
	for _, header := range a.Headers {
		if header.Name == name {
			return header.Value
		}
	}
	return ""
}

// Answer is that of a callout which is done, or what it came to instead.
func (e *Event) Answer() (*HTTPAnswer, error) {
	if e.Result < 0 {
		return nil, Code(e.Result)
	}
	if e.data == nil {
		return nil, Invalid
	}
	raw := (*C.sg_http_answer)(e.data)
	answer := &HTTPAnswer{Status: uint32(raw.status), Body: text(raw.body)}
	for _, header := range unsafe.Slice(raw.headers, int(raw.header_count)) {
		answer.Headers = append(answer.Headers, Header{text(header.name), text(header.value)})
	}
	return answer, nil
}

// Addresses are those of a look-up which is done.
func (e *Event) Addresses() ([]string, error) {
	if e.Result < 0 {
		return nil, Code(e.Result)
	}
	if e.data == nil {
		return nil, Invalid
	}
	raw := (*C.sg_resolved)(e.data)
	var found []string
	for _, address := range unsafe.Slice(raw.addresses, int(raw.count)) {
		found = append(found, text(address))
	}
	return found, nil
}

// milliseconds rounds up: zero means none, which a short time must not become.
func milliseconds(duration time.Duration) (uint64, error) {
	if duration < 0 {
		return 0, Invalid
	}
	ms := uint64(duration / time.Millisecond)
	if duration%time.Millisecond != 0 {
		ms++
	}
	return ms, nil
}

func max(a, b int64) int64 {
	if a > b {
		return a
	}
	return b
}

// writeState hands a state to the gateway. Here, because a file with exported functions cannot include what Go texts need.
func writeState(out *C.sg_state_out, state []byte) C.int32_t {
	return C.sgo_state_write(out, string(state))
}
