package swapgate

// #include "swapgate.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// Bits of hooks that have no phase, as bridge.c reads them.
const (
	bitStart  = 29
	bitExport = 30
	bitImport = 31
)

var (
	plugin    Plugin
	hooks     uint32
	configure func(config []byte) (any, error)
	exported  bool
)

// Export makes T, usually a pointer to a struct, the plugin of this library. Once, in an init function of package main.
// configure makes an instance out of a configuration (JSON text); its error is why the configuration is refused.
func Export[T any](settings Plugin, made func(config []byte) (T, error)) {
	if exported {
		panic("swapgate.Export was called twice")
	}
	exported = true
	plugin = settings
	configure = func(config []byte) (any, error) { return made(config) }
	var none T
	hooks = hooksOf(none)
}

func hooksOf(none any) uint32 {
	var found uint32
	has := func(bit uint32, is bool) {
		if is {
			found |= 1 << bit
		}
	}
	_, is := none.(Rewriter)
	has(C.SG_PHASE_REWRITE, is)
	_, is = none.(Accesser)
	has(C.SG_PHASE_ACCESS, is)
	_, is = none.(RequestBodyer)
	has(C.SG_PHASE_REQUEST_BODY, is)
	_, is = none.(HeaderFilterer)
	has(C.SG_PHASE_HEADER_FILTER, is)
	_, is = none.(BodyFilterer)
	has(C.SG_PHASE_BODY_FILTER, is)
	_, is = none.(Trailerser)
	has(C.SG_PHASE_TRAILERS, is)
	_, is = none.(Logger)
	has(C.SG_PHASE_LOG, is)
	_, is = none.(RequestEnder)
	has(C.SG_PHASE_REQUEST_END, is)
	_, is = none.(Eventer)
	has(C.SG_PHASE_ON_EVENT, is)
	_, is = none.(Ticker)
	has(C.SG_PHASE_ON_TICK, is)
	_, is = none.(OpDoner)
	has(C.SG_PHASE_ON_OP_DONE, is)
	_, is = none.(Starter)
	has(bitStart, is)
	_, is = none.(StateExporter)
	has(bitExport, is)
	_, is = none.(StateImporter)
	has(bitImport, is)
	return found
}

// result is what goes back for an error; tell gets its text.
func result(err error, tell func(string)) C.int32_t {
	tell(err.Error())
	var code Code
	if errors.As(err, &code) && code < 0 {
		return C.int32_t(code)
	}
	return C.SG_E_FAILED
}

// barrier stops a panic. Deferred by everything that the gateway calls.
func barrier(into *C.int32_t, tell func(string)) {
	if panicked := recover(); panicked != nil {
		tell(fmt.Sprint("panic: ", panicked))
		*into = C.SG_E_PANIC
	}
}

// toLog tells the log, where nobody else would hear.
func toLog(text string) { _ = Log(LogError, text) }

// toBuffer tells the gateway.
func toBuffer(to *C.sg_error_buf) func(string) {
	return func(text string) {
		if to == nil || to.ptr == nil || to.cap == 0 {
			return
		}
		room := unsafe.Slice((*byte)(unsafe.Pointer(to.ptr)), int(to.cap))
		to.len = C.size_t(copy(room, text))
	}
}

//export sgoDefine
func sgoDefine(gateway *C.sg_host, table *C.sg_plugin) C.uint32_t {
	host = gateway
	table.priority = C.int32_t(plugin.Priority)
	table.request_body_need = C.uint32_t(plugin.RequestBodyNeed)
	table.response_body_need = C.uint32_t(plugin.ResponseBodyNeed)
	table.buffer_bytes = C.uint64_t(plugin.BufferBytes)
	if plugin.RequestHeadersEarly {
		table.flags |= C.SG_PLUGIN_REQUEST_HEADERS_EARLY
	}
	if plugin.Schema != "" {
		// Kept for ever, like the library.
		table.config_schema.ptr = (*C.uint8_t)(unsafe.Pointer(C.CString(plugin.Schema)))
		table.config_schema.len = C.size_t(len(plugin.Schema))
	}
	return C.uint32_t(hooks)
}

//export sgoConfigure
func sgoConfigure(config C.sg_str, out *C.uintptr_t, why *C.sg_error_buf) (code C.int32_t) {
	defer barrier(&code, toBuffer(why))
	if configure == nil {
		return result(errors.New("nobody called swapgate.Export; do so in an init function"), toBuffer(why))
	}
	instance, err := configure([]byte(text(config)))
	if err != nil {
		return result(err, toBuffer(why))
	}
	*out = C.uintptr_t(cgo.NewHandle(instance))
	return C.SG_OK
}

//export sgoStart
func sgoStart(instance C.uintptr_t, token C.sg_instance_tok, why *C.sg_error_buf) (code C.int32_t) {
	defer barrier(&code, toBuffer(why))
	if err := value(instance).(Starter).Start(Background{Scope{token: uint64(token)}}); err != nil {
		return result(err, toBuffer(why))
	}
	return C.SG_OK
}

//export sgoDestroy
func sgoDestroy(instance C.uintptr_t) {
	var code C.int32_t
	defer barrier(&code, toLog)
	handle := cgo.Handle(instance)
	defer handle.Delete()
	if destroyer, is := handle.Value().(Destroyer); is {
		destroyer.Destroy()
	}
}

func value(instance C.uintptr_t) any { return cgo.Handle(instance).Value() }

//export sgoHook
func sgoHook(instance C.uintptr_t, token C.sg_exchange_tok, phase, argument C.uint32_t) (code C.int32_t) {
	x := &Exchange{Scope{token: uint64(token)}}
	tell := func(why string) { _ = x.SetError(why) }
	if phase == C.SG_PHASE_REQUEST_END {
		tell = toLog
	}
	defer barrier(&code, tell)
	flow, err := run(value(instance), x, uint32(phase), uint32(argument))
	if err != nil {
		return result(err, tell)
	}
	return C.int32_t(flow)
}

func run(instance any, x *Exchange, phase, argument uint32) (Flow, error) {
	switch phase {
	case C.SG_PHASE_REWRITE:
		return instance.(Rewriter).Rewrite(x)
	case C.SG_PHASE_ACCESS:
		return instance.(Accesser).Access(x)
	case C.SG_PHASE_REQUEST_BODY:
		return instance.(RequestBodyer).RequestBody(x, argument)
	case C.SG_PHASE_HEADER_FILTER:
		return instance.(HeaderFilterer).HeaderFilter(x)
	case C.SG_PHASE_BODY_FILTER:
		return instance.(BodyFilterer).BodyFilter(x, argument)
	case C.SG_PHASE_TRAILERS:
		return instance.(Trailerser).Trailers(x, argument)
	case C.SG_PHASE_LOG:
		return Proceed, instance.(Logger).Log(x)
	default:
		instance.(RequestEnder).RequestEnd(x)
		return Proceed, nil
	}
}

//export sgoEvent
func sgoEvent(instance C.uintptr_t, token C.sg_exchange_tok, event *C.sg_event) (code C.int32_t) {
	x := &Exchange{Scope{token: uint64(token)}}
	tell := func(why string) { _ = x.SetError(why) }
	defer barrier(&code, tell)
	flow, err := value(instance).(Eventer).OnEvent(x, newEvent(event))
	if err != nil {
		return result(err, tell)
	}
	return C.int32_t(flow)
}

//export sgoTick
func sgoTick(instance C.uintptr_t) (code C.int32_t) {
	defer barrier(&code, toLog)
	if err := value(instance).(Ticker).OnTick(); err != nil {
		return result(err, toLog)
	}
	return C.SG_OK
}

//export sgoOpDone
func sgoOpDone(instance C.uintptr_t, event *C.sg_event) (code C.int32_t) {
	defer barrier(&code, toLog)
	if err := value(instance).(OpDoner).OnOpDone(newEvent(event)); err != nil {
		return result(err, toLog)
	}
	return C.SG_OK
}

//export sgoExport
func sgoExport(instance C.uintptr_t, out *C.sg_state_out) (code C.int32_t) {
	defer barrier(&code, toLog)
	version, state, err := value(instance).(StateExporter).ExportState()
	if errors.Is(err, NotFound) {
		return C.SG_E_NOT_FOUND
	}
	if err != nil {
		return result(err, toLog)
	}
	out.version = C.uint32_t(version)
	return writeState(out, state)
}

//export sgoImport
func sgoImport(instance C.uintptr_t, version C.uint32_t, state C.sg_str, why *C.sg_error_buf) (code C.int32_t) {
	defer barrier(&code, toBuffer(why))
	if err := value(instance).(StateImporter).ImportState(uint32(version), []byte(text(state))); err != nil {
		return result(err, toBuffer(why))
	}
	return C.SG_OK
}

//export sgoRelease
func sgoRelease(handle C.uintptr_t) { cgo.Handle(handle).Delete() }

//export sgoWork
func sgoWork(handle C.uintptr_t) (code C.int32_t) {
	defer barrier(&code, toLog)
	return C.int32_t(cgo.Handle(handle).Value().(func() int32)())
}
