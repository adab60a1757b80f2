// Package swapgate is for plugins in Go of the Swapgate gateway. swapgate.h is the reference of everything in here.
//
// A plugin is a type with the hooks it wants (Accesser, HeaderFilterer and so on), named to Export in an init function,
// in a package main that is built with -buildmode=c-shared. A hook that the type does not have costs nothing.
//
// Hooks of one instance run on several threads at once: guard what they change. A hook that returns an error fails: the
// error's text is what the log shows, and the route's on_error decides. A panic in a hook is stopped at the border. One in
// a goroutine of your own is not, and ends the gateway: start those with Go.
//
// A hook runs on a thread of the gateway and must not block it. What takes long goes to a goroutine, with a Waker; the hook
// returns Pending meanwhile. An Exchange may be used in its hook only, and on no other goroutine.
//
// Texts that come from the gateway are copies, and stay good.
package swapgate

// #cgo CFLAGS: -I${SRCDIR} -I${SRCDIR}/../include -std=c11 -Wall -fvisibility=hidden
// #include "shims.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Flow is what a hook answers.
type Flow int32

const (
	// Proceed goes on with the next plugin, or passes the window of a body on.
	Proceed Flow = C.SG_CONTINUE
	// Pending waits for an event: OnEvent is called.
	Pending Flow = C.SG_PENDING
	// Responded takes the answer given to Respond.
	Responded Flow = C.SG_RESPOND
	// Buffer keeps the window until there is more.
	Buffer Flow = C.SG_BUFFER
)

// The hooks.
type (
	// Starter is told that it is about to serve.
	Starter interface{ Start(Background) error }
	// Destroyer is told that nobody uses it any more.
	Destroyer interface{ Destroy() }
	// Rewriter works before routing.
	Rewriter interface{ Rewrite(*Exchange) (Flow, error) }
	// Accesser works after routing, before the upstream.
	Accesser interface{ Access(*Exchange) (Flow, error) }
	// RequestBodyer works on bodies of requests; flags: BodyEnd, BodyFirst.
	RequestBodyer interface {
		RequestBody(x *Exchange, flags uint32) (Flow, error)
	}
	// HeaderFilterer works on the head of the answer.
	HeaderFilterer interface{ HeaderFilter(*Exchange) (Flow, error) }
	// BodyFilterer works on bodies of answers.
	BodyFilterer interface {
		BodyFilter(x *Exchange, flags uint32) (Flow, error)
	}
	// Trailerser works on trailers of a lane.
	Trailerser interface {
		Trailers(x *Exchange, lane uint32) (Flow, error)
	}
	// Logger is called when the exchange will not change any more.
	Logger interface{ Log(*Exchange) error }
	// RequestEnder gets the last call for an exchange.
	RequestEnder interface{ RequestEnd(*Exchange) }
	// Eventer is told what happened while a hook waits.
	Eventer interface {
		OnEvent(*Exchange, *Event) (Flow, error)
	}
	// Ticker is called every so often; see Background.TickEvery.
	Ticker interface{ OnTick() error }
	// OpDoner is told what happened in the background.
	OpDoner interface{ OnOpDone(*Event) error }
	// StateExporter hands its state to the instance that takes its place: the format's version, and the state.
	StateExporter interface {
		ExportState() (version uint32, state []byte, err error)
	}
	// StateImporter takes a state over.
	StateImporter interface {
		ImportState(version uint32, state []byte) error
	}
)

// Plugin is what there is to say about a plugin besides its hooks.
type Plugin struct {
	// Priority says where it stands in every phase; highest first.
	Priority int32
	// RequestBodyNeed and ResponseBodyNeed are BodyNone, BodyObserve, BodyTransform or BodyBuffer.
	RequestBodyNeed, ResponseBodyNeed uint32
	// BufferBytes is how much of a body it buffers at most.
	BufferBytes uint64
	// Schema is the JSON Schema of the configuration; empty: anything goes.
	Schema string
	// RequestHeadersEarly says that the request's headers are read in Rewrite and Access only.
	RequestHeadersEarly bool
}

// Log levels.
const (
	LogError = C.SG_LOG_ERROR
	LogWarn  = C.SG_LOG_WARN
	LogInfo  = C.SG_LOG_INFO
	LogDebug = C.SG_LOG_DEBUG
	LogTrace = C.SG_LOG_TRACE
)

// The gateway's table, from sg_plugin_entry() until unload() returns. A library of Go is never unmapped.
var host *C.sg_host

// Log writes a line to the gateway's log.
func Log(level uint32, text string) error { return check(C.sgo_log(host, C.uint32_t(level), text)) }

// Go runs f on a goroutine of its own and stops a panic there, which would end the gateway otherwise.
func Go(f func()) {
	go func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				_ = Log(LogError, fmt.Sprint("panic in a goroutine: ", panicked))
			}
		}()
		f()
	}()
}

// text copies a view.
func text(view C.sg_str) string {
	if view.len == 0 {
		return ""
	}
	return C.GoStringN((*C.char)(unsafe.Pointer(view.ptr)), C.int(view.len))
}

// Header is one header.
type Header struct{ Name, Value string }

// cHeaders copies headers into memory of C, because Go may not hand over pointers to pointers. Freed by the second result.
func cHeaders(headers []Header) (*C.sg_header, func()) {
	if len(headers) == 0 {
		return nil, func() {}
	}
	var size C.size_t
	for _, header := range headers {
		size += C.size_t(len(header.Name) + len(header.Value))
	}
	list := (*C.sg_header)(C.calloc(C.size_t(len(headers)), C.sizeof_sg_header))
	bytes := (*C.uint8_t)(C.malloc(size + 1))
	rest := unsafe.Slice((*byte)(unsafe.Pointer(bytes)), int(size)+1)
	put := func(text string) C.sg_str {
		copy(rest, text)
		at := C.sg_str{ptr: (*C.uint8_t)(unsafe.Pointer(&rest[0])), len: C.size_t(len(text))}
		rest = rest[len(text):]
		return at
	}
	all := unsafe.Slice(list, len(headers))
	for i, header := range headers {
		all[i].name = put(header.Name)
		all[i].value = put(header.Value)
	}
	return list, func() {
		C.free(unsafe.Pointer(list))
		C.free(unsafe.Pointer(bytes))
	}
}
