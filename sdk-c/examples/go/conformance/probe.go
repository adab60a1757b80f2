package main

import (
	"fmt"
	"strings"

	"sdk.example/swapgate"
)

// noMap is a header map that does not exist.
const noMap = 99

func attributes(t *trace, x *swapgate.Exchange) {
	for _, id := range []uint32{1, 2, 3, 4, 5, 9, 10} {
		value, err := x.Attr(id)
		t.value(fmt.Sprint("attr_text.", id), value, err)
	}
	for _, id := range []uint32{6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 69, 60, 64} {
		_, err := x.Attr(id)
		t.code(fmt.Sprint("attr_text.", id), err)
	}
	status, err := x.Number(swapgate.AttrStatus)
	t.number("attr_number.64", status, err)
	for _, id := range []uint32{65, 66, 67, 68, 999, 1} {
		_, err := x.Number(id)
		t.code(fmt.Sprint("attr_number.", id), err)
	}
}

func setAttributes(t *trace, x *swapgate.Exchange) {
	for _, id := range []uint32{1, 4, 5} {
		now, _ := x.Attr(id)
		t.code(fmt.Sprint("attr_set.", id), x.SetAttr(id, now))
	}
	t.code("attr_set.bad_method", x.SetAttr(swapgate.AttrMethod, "GET /"))
	t.code("attr_set.bad_path", x.SetAttr(swapgate.AttrPath, "x"))
	t.code("attr_set.scheme", x.SetAttr(swapgate.AttrScheme, "https"))
	t.code("attr_set.unknown", x.SetAttr(999, ""))
}

func params(t *trace, x *swapgate.Exchange) {
	value, err := x.Param("id")
	t.value("param_get.id", value, err)
	value, err = x.Param("none")
	t.value("param_get.none", value, err)
	name, _, err := x.ParamNth(0)
	t.value("param_nth.0", name, err)
	_, _, err = x.ParamNth(99)
	t.code("param_nth.99", err)
}

func get(t *trace, x *swapgate.Exchange, step string, headers uint32, name string) {
	value, err := x.Header(headers, name)
	t.value("header_get."+step, value, err)
}

func nth(t *trace, x *swapgate.Exchange, step string, headers uint32, name string, index int) {
	value, err := x.HeaderNth(headers, name, index)
	t.value("header_nth."+step, value, err)
}

func list(t *trace, x *swapgate.Exchange, step string, headers uint32) {
	all, err := x.Headers(headers)
	var found uint64
	for _, header := range all {
		if header.Name == "x-probe" {
			found++
		}
	}
	t.number("headers_list."+step, found, err)
}

func readHeaders(t *trace, x *swapgate.Exchange) {
	get(t, x, "request", swapgate.RequestHeaders, "X-Probe")
	get(t, x, "none", swapgate.RequestHeaders, "x-none")
	get(t, x, "response", swapgate.ResponseHeaders, "x-probe")
	get(t, x, "no_map", noMap, "x-probe")
	nth(t, x, "1", swapgate.RequestHeaders, "x-probe", 1)
	nth(t, x, "99", swapgate.RequestHeaders, "x-probe", 99)
	list(t, x, "request", swapgate.RequestHeaders)
	list(t, x, "response", swapgate.ResponseHeaders)
	list(t, x, "no_map", noMap)
}

func changeHeaders(t *trace, x *swapgate.Exchange) {
	for headers, name := range []string{"", "request", "response"} {
		if headers == 0 {
			continue
		}
		headers := uint32(headers)
		t.code("header_set."+name, x.SetHeader(headers, "x-conformance", "1"))
		t.code("header_append."+name, x.AppendHeader(headers, "X-Conformance", "2\xff"))
		nth(t, x, name, headers, "x-conformance", 1)
		t.code("header_remove."+name, x.RemoveHeader(headers, "x-conformance"))
		_, err := x.Header(headers, "x-conformance")
		t.code("header_get."+name+"_removed", err)
	}
	var headers uint32 = swapgate.ResponseHeaders
	if t.phase == "R" || t.phase == "A" || t.phase == "W" {
		headers = swapgate.RequestHeaders
	}
	for _, bad := range []struct{ step, name, value string }{
		{"bad_name", "bad name", "1"},
		{"no_name", "", "1"},
		{"bad_value", "x-bad", "a\nb"},
		{"connection", "Connection", "close"},
		{"content_length", "content-length", "1"},
		{"host", "host", "example.com"},
		{"transfer_encoding", "transfer-encoding", "chunked"},
	} {
		t.code("header_set."+bad.step, x.SetHeader(headers, bad.name, bad.value))
	}
	t.code("header_set.no_map", x.SetHeader(noMap, "x-probe", "1"))
	t.code("header_remove.none", x.RemoveHeader(headers, "x-never-there"))
	t.code("header_remove.te", x.RemoveHeader(headers, "te"))
}

func respond(t *trace, x *swapgate.Exchange) {
	for _, bad := range []struct {
		step    string
		status  uint32
		headers []swapgate.Header
	}{
		{"status", 199, nil},
		{"large_status", 600, nil},
		{"header", 200, []swapgate.Header{{Name: "a b"}}},
		{"forbidden", 200, []swapgate.Header{{Name: "connection", Value: "close"}}},
	} {
		_, err := x.Respond(bad.status, bad.headers, "")
		t.code("respond."+bad.step, err)
	}
}

func variables(t *trace, x *swapgate.Exchange) {
	for _, step := range []struct{ step, name string }{
		{"none", "conformance.none"}, {"before", "conformance.phase"},
	} {
		value, err := x.Var(step.name)
		t.value("var_get."+step.step, value, err)
	}
	t.code("var_set", x.SetVar("conformance.phase", t.phase))
	value, err := x.Var("conformance.phase")
	t.value("var_get.after", value, err)
	t.code("var_set.long", x.SetVar(strings.Repeat("n", 129), ""))
	t.code("var_set.large", x.SetVar("conformance.large", strings.Repeat("v", 64*1024+1)))
}

// mark is what is left in the exchange: the phase that left it.
type mark string

func tellMark(t *trace, x *swapgate.Exchange, step string) {
	state, err := x.State()
	if left, is := state.(mark); is && err == nil {
		t.word(step, string(left))
		return
	}
	t.word(step, "none")
}

func state(t *trace, x *swapgate.Exchange) {
	tellMark(t, x, "state")
	t.code("state_set", x.SetState(mark(t.phase)))
	tellMark(t, x, "state.after")
}

func consumer(t *trace, x *swapgate.Exchange) {
	value, err := x.Consumer()
	t.value("consumer_get", value, err)
	t.code("consumer_set.empty", x.SetConsumer(""))
	t.code("consumer_set.bad", x.SetConsumer("\xff"))
	t.code("consumer_set.long", x.SetConsumer(strings.Repeat("c", 257)))
	t.code("consumer_set", x.SetConsumer("probe"))
	value, err = x.Consumer()
	t.value("consumer_get.after", value, err)
}

func stale(t *trace, x *swapgate.Exchange) {
	other, none := swapgate.ExchangeOf(^x.Token()), swapgate.ExchangeOf(0)
	_, err := other.Attr(swapgate.AttrMethod)
	t.code("stale", err)
	_, err = none.Var("conformance.phase")
	t.code("stale.zero", err)
	t.code("stale.set", other.SetHeader(swapgate.RequestHeaders, "x-stale", "1"))
}

func texts(t *trace, x *swapgate.Exchange) {
	t.code("log", swapgate.Log(swapgate.LogInfo, "conformance"))
	t.code("log.level", swapgate.Log(99, "conformance"))
	t.code("set_error", x.SetError("nothing is wrong"))
}
