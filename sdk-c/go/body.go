package swapgate

// #include "shims.h"
import "C"

// What a plugin needs of a body.
const (
	BodyNone      = C.SG_BODY_NONE
	BodyObserve   = C.SG_BODY_OBSERVE
	BodyTransform = C.SG_BODY_TRANSFORM
	BodyBuffer    = C.SG_BODY_BUFFER
)

// Flags of RequestBody and BodyFilter.
const (
	BodyEnd   = C.SG_BODY_END
	BodyFirst = C.SG_BODY_FIRST
)

// Lanes.
const (
	LaneRequest  = C.SG_LANE_REQUEST
	LaneResponse = C.SG_LANE_RESPONSE
)

// BodyLen is how many bytes the window has.
func (x *Exchange) BodyLen() (uint64, error) {
	var out C.uint64_t
	err := check(C.sgo_body_len(host, x.tok(), &out))
	return uint64(out), err
}

// Body is a copy of the window.
func (x *Exchange) Body() ([]byte, error) {
	var count C.size_t
	if err := check(C.sgo_body_pieces(host, x.tok(), nil, 0, &count)); err != nil || count == 0 {
		return nil, err
	}
	pieces := make([]C.sg_str, count)
	if err := check(C.sgo_body_pieces(host, x.tok(), &pieces[0], count, &count)); err != nil {
		return nil, err
	}
	var whole []byte
	for _, piece := range pieces {
		whole = append(whole, text(piece)...)
	}
	return whole, nil
}

// DrainBody removes bytes from the front of the window.
func (x *Exchange) DrainBody(bytes uint64) error {
	return check(C.sgo_body_drain(host, x.tok(), C.uint64_t(bytes)))
}

// ReplaceBody puts bytes in the place of the window.
func (x *Exchange) ReplaceBody(bytes string) error {
	return check(C.sgo_body_replace(host, x.tok(), bytes))
}

// AppendBody adds bytes to the end of the window.
func (x *Exchange) AppendBody(bytes string) error {
	return check(C.sgo_body_append(host, x.tok(), bytes))
}

// AppendBodyOwn does so with one copy that the gateway keeps; for what is large.
func (x *Exchange) AppendBodyOwn(bytes string) error {
	return check(C.sgo_body_append_own(host, x.tok(), bytes))
}

// HoldBody keeps the last bytes back: they begin the next window.
func (x *Exchange) HoldBody(bytes uint64) error {
	return check(C.sgo_body_hold(host, x.tok(), C.uint64_t(bytes)))
}

// IgnoreBody says that this instance wants nothing of that lane's body in this exchange.
func (x *Exchange) IgnoreBody(lane uint32) error {
	return check(C.sgo_body_ignore(host, x.tok(), C.uint32_t(lane)))
}
