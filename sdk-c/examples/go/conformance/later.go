package main

import (
	"strings"
	"time"

	"sdk.example/swapgate"
)

// What came with contract 0.3: operations, the choice of the upstream, windows of bodies, values, trailers, states.

const (
	many         = 1 << 40
	nobodys      = 0x1234567812345678
	stateVersion = 3
)

func waiting(t *trace, x *swapgate.Exchange) {
	op, err := x.Sleep(time.Minute)
	t.code("sleep", err)
	_, err = swapgate.ExchangeOf(^x.Token()).Sleep(time.Minute)
	t.code("sleep.stale", err)
	t.code("op_cancel", x.Cancel(op))
	t.code("op_cancel.again", x.Cancel(op))
	t.code("op_cancel.unknown", x.Cancel(nobodys))
	first, err := x.Waker()
	t.code("waker", err)
	second, err := x.Waker()
	t.code("waker.again", err)
	same := "no"
	if first == second {
		same = "yes"
	}
	t.word("waker.same", same)
	t.code("wake.unknown", swapgate.WakerOf(nobodys).Wake())
	t.code("upstream_set.none", x.SetUpstream(swapgate.UpstreamService, "nobody"))
	t.code("upstream_set.bad", x.SetUpstream(swapgate.UpstreamAddress, "no address"))
	t.code("upstream_set.kind", x.SetUpstream(99, "up"))
}

func tellWindow(t *trace, x *swapgate.Exchange, length, pieces string) {
	number, err := x.BodyLen()
	t.number(length, number, err)
	whole, err := x.Body()
	t.value(pieces, string(whole), err)
}

func bodies(t *trace, x *swapgate.Exchange) {
	tellWindow(t, x, "body_len", "body_pieces")
	t.code("body_drain.many", x.DrainBody(many))
	t.code("body_hold.many", x.HoldBody(many))
	t.code("body_ignore.lane", x.IgnoreBody(99))
}

func values(t *trace) {
	kv, err := swapgate.OpenKV()
	if err != nil {
		t.word("kv", "none")
		return
	}
	get := func(step string) uint64 {
		value, revision, err := kv.Get("k")
		t.value(step, string(value), err)
		return revision
	}
	t.code("kv.remove", kv.Remove("k"))
	get("kv.get.none")
	t.code("kv.set", kv.Set("k", "one", 0))
	revision := get("kv.get")
	known := "none"
	if revision != 0 {
		known = "some"
	}
	t.word("kv.revision", known)
	t.code("kv.compare_and_set", kv.CompareAndSet("k", revision, "two", 0))
	t.code("kv.compare_and_set.old", kv.CompareAndSet("k", revision, "three", 0))
	t.code("kv.compare_and_set.none", kv.CompareAndSet("k", 0, "three", 0))
	get("kv.get.after")
	_, err = kv.Add("k", 1, 0)
	t.code("kv.add.text", err)
	sum, err := kv.Add("n", 5, time.Minute)
	t.number("kv.add", uint64(sum), err)
	sum, err = kv.Add("n", -2, time.Minute)
	t.number("kv.add.less", uint64(sum), err)
	t.code("kv.remove.n", kv.Remove("n"))
	t.code("kv.remove.again", kv.Remove("n"))
	t.code("kv.set.long_key", kv.Set(strings.Repeat("k", 513), "v", 0))
	t.code("kv.set.long", kv.Set("long", strings.Repeat("k", 1024*1024+1), 0))
}

func (c *conformance) wait(x *swapgate.Exchange) error {
	var err error
	switch c.Wait {
	case "sleep":
		_, err = x.Sleep(time.Millisecond)
	case "never":
		_ = swapgate.Log(swapgate.LogInfo, "conformance: waits for the client to go")
		_, err = x.Sleep(time.Minute)
	case "callout":
		_, err = x.Callout(swapgate.HTTPRequest{Service: "up", URL: "/called"})
	case "blocking":
		_, err = x.Blocking(func() int32 { return 7 })
	default:
		var waker swapgate.Waker
		waker, err = x.Waker()
		swapgate.Go(func() { _ = waker.Wake() })
	}
	return err
}

// OnEvent is called when access() waits.
func (c *conformance) OnEvent(x *swapgate.Exchange, event *swapgate.Event) (swapgate.Flow, error) {
	switch event.Kind {
	case swapgate.EventCancel:
		return swapgate.Proceed, swapgate.Log(swapgate.LogInfo, "trace X: cancelled=yes")
	case swapgate.EventDrain:
		return swapgate.Pending, nil
	}
	t := &trace{phase: "W"}
	if event.Phase != swapgate.PhaseAccess || event.Lane != swapgate.LaneRequest {
		t.word("event", "of another hook")
	}
	c.tellEvent(t, event)
	c.probe(t, x)
	t.store(x)
	return swapgate.Proceed, nil
}

func (c *conformance) tellEvent(t *trace, event *swapgate.Event) {
	kind := func(expected uint32) error {
		if event.Kind != expected {
			return swapgate.Invalid
		}
		if event.Result < 0 {
			return swapgate.Code(event.Result)
		}
		return nil
	}
	switch c.Wait {
	case "wake":
		t.code("wake", kind(swapgate.EventWake))
	case "sleep":
		t.code("sleep", kind(swapgate.EventOpDone))
	case "blocking":
		t.number("blocking", uint64(event.Result), nil)
	case "callout":
		answer, err := event.Answer()
		if err != nil {
			answer = &swapgate.HTTPAnswer{}
		}
		t.number("callout", uint64(answer.Status), err)
		t.value("callout.body", answer.Body, err)
	}
}

func (c *conformance) changeBody(t *trace, x *swapgate.Exchange) {
	c.probe(t, x)
	t.code("body_append", x.AppendBody("+copy"))
	t.code("body_append_own", x.AppendBodyOwn("+own"))
	tellWindow(t, x, "body_len.more", "body_pieces.more")
	t.code("body_drain", x.DrainBody(1))
	t.code("body_hold", x.HoldBody(1))
	tellWindow(t, x, "body_len.less", "body_pieces.less")
	all, _ := x.Body()
	t.code("body_replace", x.ReplaceBody(string(all)))
}

// RequestBody looks at whole bodies only: where pieces end differs from one run to the next.
func (c *conformance) RequestBody(x *swapgate.Exchange, flags uint32) (swapgate.Flow, error) {
	if flags&swapgate.BodyEnd == 0 {
		return swapgate.Buffer, nil
	}
	t := &trace{phase: "B"}
	c.changeBody(t, x)
	t.store(x)
	return swapgate.Proceed, nil
}

// BodyFilter does as RequestBody.
func (c *conformance) BodyFilter(x *swapgate.Exchange, flags uint32) (swapgate.Flow, error) {
	if flags&swapgate.BodyEnd == 0 {
		return swapgate.Buffer, nil
	}
	t := &trace{phase: "F"}
	c.changeBody(t, x)
	return swapgate.Proceed, t.write()
}

// Trailers looks at those of both lanes.
func (c *conformance) Trailers(x *swapgate.Exchange, lane uint32) (swapgate.Flow, error) {
	t := &trace{phase: "T"}
	var own, other uint32 = swapgate.RequestTrailers, swapgate.ResponseTrailers
	if lane == swapgate.LaneResponse {
		t.phase, own, other = "U", other, own
	}
	get(t, x, "trailer", own, "X-Trailer")
	get(t, x, "other", other, "x-trailer")
	t.code("header_set.trailer", x.SetHeader(own, "x-added", "1"))
	t.code("header_append.trailer", x.AppendHeader(own, "x-added", "2"))
	nth(t, x, "trailer", own, "x-added", 1)
	t.code("header_set.framing", x.SetHeader(own, "content-length", "1"))
	t.code("header_remove.trailer", x.RemoveHeader(own, "x-trailer"))
	get(t, x, "removed", own, "x-trailer")
	if lane == swapgate.LaneRequest {
		t.store(x)
		return swapgate.Proceed, nil
	}
	return swapgate.Proceed, t.write()
}

// ExportState hands over what there is.
func (c *conformance) ExportState() (uint32, []byte, error) {
	return stateVersion, []byte("all it knows"), nil
}

// ImportState takes it over.
func (c *conformance) ImportState(version uint32, state []byte) error {
	if version != stateVersion {
		return swapgate.Version
	}
	text := string(state)
	c.imported = &text
	return nil
}

func (c *conformance) tellImport(t *trace) {
	if c.imported == nil {
		t.word("import", "none")
		return
	}
	t.value("import", *c.imported, nil)
	t.number("import.version", stateVersion, nil)
}
