package swapgate

// #include "shims.h"
import "C"

import "runtime/cgo"

// Attributes.
const (
	AttrMethod               = C.SG_ATTR_METHOD
	AttrScheme               = C.SG_ATTR_SCHEME
	AttrHost                 = C.SG_ATTR_HOST
	AttrPath                 = C.SG_ATTR_PATH
	AttrQuery                = C.SG_ATTR_QUERY
	AttrClientAddress        = C.SG_ATTR_CLIENT_ADDRESS
	AttrPeerAddress          = C.SG_ATTR_PEER_ADDRESS
	AttrLocalAddress         = C.SG_ATTR_LOCAL_ADDRESS
	AttrRoute                = C.SG_ATTR_ROUTE
	AttrService              = C.SG_ATTR_SERVICE
	AttrRequestID            = C.SG_ATTR_REQUEST_ID
	AttrProtocol             = C.SG_ATTR_PROTOCOL
	AttrListener             = C.SG_ATTR_LISTENER
	AttrTLSVersion           = C.SG_ATTR_TLS_VERSION
	AttrTLSCipher            = C.SG_ATTR_TLS_CIPHER
	AttrTLSSNI               = C.SG_ATTR_TLS_SNI
	AttrTLSALPN              = C.SG_ATTR_TLS_ALPN
	AttrTLSClientSubject     = C.SG_ATTR_TLS_CLIENT_SUBJECT
	AttrTLSClientIssuer      = C.SG_ATTR_TLS_CLIENT_ISSUER
	AttrTLSClientSerial      = C.SG_ATTR_TLS_CLIENT_SERIAL
	AttrTLSClientFingerprint = C.SG_ATTR_TLS_CLIENT_FINGERPRINT
	AttrTLSClientNames       = C.SG_ATTR_TLS_CLIENT_NAMES
	AttrTLSClientCertificate = C.SG_ATTR_TLS_CLIENT_CERTIFICATE
	AttrProxySource          = C.SG_ATTR_PROXY_SOURCE
	AttrProxyDestination     = C.SG_ATTR_PROXY_DESTINATION
	AttrStatus               = C.SG_ATTR_STATUS
	AttrRequestBytes         = C.SG_ATTR_REQUEST_BYTES
	AttrResponseBytes        = C.SG_ATTR_RESPONSE_BYTES
	AttrDurationNs           = C.SG_ATTR_DURATION_NS
	AttrUpstreamNs           = C.SG_ATTR_UPSTREAM_NS
	AttrTarget               = C.SG_ATTR_TARGET
)

// Header maps.
const (
	RequestHeaders   = C.SG_HEADERS_REQUEST
	ResponseHeaders  = C.SG_HEADERS_RESPONSE
	RequestTrailers  = C.SG_TRAILERS_REQUEST
	ResponseTrailers = C.SG_TRAILERS_RESPONSE
)

// What SetUpstream chooses by.
const (
	UpstreamService = C.SG_UPSTREAM_SERVICE
	UpstreamTarget  = C.SG_UPSTREAM_TARGET
	UpstreamAddress = C.SG_UPSTREAM_ADDRESS
)

// Exchange is one request and its answer. In the hook it was given to, and on its goroutine.
type Exchange struct{ Scope }

func (x *Exchange) tok() C.sg_exchange_tok { return C.sg_exchange_tok(x.token) }

// Attr is the text of an attribute.
func (x *Exchange) Attr(id uint32) (string, error) {
	var out C.sg_str
	err := check(C.sgo_attr_text(host, x.tok(), C.uint32_t(id), &out))
	return text(out), err
}

// Number is the value of a number attribute.
func (x *Exchange) Number(id uint32) (uint64, error) {
	var out C.uint64_t
	err := check(C.sgo_attr_number(host, x.tok(), C.uint32_t(id), &out))
	return uint64(out), err
}

// SetAttr sets AttrMethod, AttrPath or AttrQuery, in Rewrite.
func (x *Exchange) SetAttr(id uint32, value string) error {
	return check(C.sgo_attr_set(host, x.tok(), C.uint32_t(id), value))
}

// Param is a parameter of the path.
func (x *Exchange) Param(name string) (string, error) {
	var out C.sg_str
	err := check(C.sgo_param_get(host, x.tok(), name, &out))
	return text(out), err
}

// ParamNth is the parameter with this index.
func (x *Exchange) ParamNth(index int) (name, value string, err error) {
	var n, v C.sg_str
	err = check(C.sgo_param_nth(host, x.tok(), C.size_t(index), &n, &v))
	return text(n), text(v), err
}

// Header is the first value of a header.
func (x *Exchange) Header(headers uint32, name string) (string, error) {
	var out C.sg_str
	err := check(C.sgo_header_get(host, x.tok(), C.uint32_t(headers), name, &out))
	return text(out), err
}

// HeaderNth is the value with this index.
func (x *Exchange) HeaderNth(headers uint32, name string, index int) (string, error) {
	var out C.sg_str
	err := check(C.sgo_header_nth(host, x.tok(), C.uint32_t(headers), name, C.size_t(index), &out))
	return text(out), err
}

// Headers are all of them.
func (x *Exchange) Headers(headers uint32) ([]Header, error) {
	var count C.size_t
	if err := check(C.sgo_headers_list(host, x.tok(), C.uint32_t(headers), nil, 0, &count)); err != nil || count == 0 {
		return nil, err
	}
	raw := make([]C.sg_header, count)
	if err := check(C.sgo_headers_list(host, x.tok(), C.uint32_t(headers), &raw[0], count, &count)); err != nil {
		return nil, err
	}
	all := make([]Header, 0, len(raw))
	for _, one := range raw {
		all = append(all, Header{text(one.name), text(one.value)})
	}
	return all, nil
}

// SetHeader replaces every value of a header.
func (x *Exchange) SetHeader(headers uint32, name, value string) error {
	return check(C.sgo_header_set(host, x.tok(), C.uint32_t(headers), name, value))
}

// AppendHeader adds a value.
func (x *Exchange) AppendHeader(headers uint32, name, value string) error {
	return check(C.sgo_header_append(host, x.tok(), C.uint32_t(headers), name, value))
}

// RemoveHeader removes every value.
func (x *Exchange) RemoveHeader(headers uint32, name string) error {
	return check(C.sgo_header_remove(host, x.tok(), C.uint32_t(headers), name))
}

// Respond makes the answer: return what it returns.
func (x *Exchange) Respond(status uint32, headers []Header, body string) (Flow, error) {
	list, free := cHeaders(headers)
	defer free()
	err := check(C.sgo_respond(host, x.tok(), C.uint32_t(status), list, C.size_t(len(headers)), body))
	return Responded, err
}

// Var is a variable that plugins share.
func (x *Exchange) Var(name string) (string, error) {
	var out C.sg_str
	err := check(C.sgo_var_get(host, x.tok(), name, &out))
	return text(out), err
}

// SetVar sets one.
func (x *Exchange) SetVar(name, value string) error {
	return check(C.sgo_var_set(host, x.tok(), name, value))
}

// State is what this instance left here; nil if nothing.
func (x *Exchange) State() (any, error) {
	var handle C.uintptr_t
	if err := check(C.sgo_state_get(host, x.tok(), &handle)); err != nil || handle == 0 {
		return nil, err
	}
	return cgo.Handle(handle).Value(), nil
}

// SetState leaves something here until the exchange is over.
func (x *Exchange) SetState(state any) error {
	handle := cgo.NewHandle(state)
	err := check(C.sgo_state_set(host, x.tok(), C.uintptr_t(handle)))
	if err != nil {
		handle.Delete()
	}
	return err
}

// Consumer is the authenticated one.
func (x *Exchange) Consumer() (string, error) {
	var out C.sg_str
	err := check(C.sgo_consumer_get(host, x.tok(), &out))
	return text(out), err
}

// SetConsumer names the consumer.
func (x *Exchange) SetConsumer(name string) error {
	return check(C.sgo_consumer_set(host, x.tok(), name))
}

// SetError says why this hook is about to fail; an error that a hook returns says so by itself.
func (x *Exchange) SetError(why string) error { return check(C.sgo_set_error(host, x.tok(), why)) }

// SetUpstream chooses where the request goes.
func (x *Exchange) SetUpstream(kind uint32, value string) error {
	return check(C.sgo_upstream_set(host, x.tok(), C.uint32_t(kind), value))
}

// ExchangeOf is the exchange of a token: for tests of the gateway, which answers Stale to one that is not the running one.
func ExchangeOf(token uint64) *Exchange { return &Exchange{Scope{token: token}} }
