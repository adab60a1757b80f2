// Calls every host function in every phase and writes down the answers, for the tests of the gateway: the twin of
// conformance.c and of plugins/conformance, word for word, through the package for Go. All must have the same trace.
package main

// #cgo CFLAGS: -I${SRCDIR}/../../../go -I${SRCDIR}/../../../include -fvisibility=hidden
import "C"

import (
	"encoding/json"

	"sdk.example/swapgate"
)

const (
	variable = "conformance.trace"
	schema   = `{"type": "object", "additionalProperties": false, "properties": {
  "respond": {"type": "string", "enum": ["", "rewrite", "access"]},
  "wait": {"type": "string", "enum": ["", "sleep", "wake", "callout", "blocking", "never"]}}}`
)

func init() {
	swapgate.Export(swapgate.Plugin{
		Priority: 10, Schema: schema,
		RequestBodyNeed: swapgate.BodyBuffer, ResponseBodyNeed: swapgate.BodyBuffer,
	}, configure)
}

func main() {}

// conformance is an instance.
type conformance struct {
	Respond  string `json:"respond"`
	Wait     string `json:"wait"`
	imported *string
	metrics  *metrics
}

func configure(config []byte) (*conformance, error) {
	instance := &conformance{}
	if err := json.Unmarshal(config, instance); err != nil {
		return nil, err
	}
	instance.metrics = declareMetrics()
	return instance, nil
}

func (c *conformance) probe(t *trace, x *swapgate.Exchange) {
	if t.phase == "R" {
		c.metrics.tell(t)
		c.tellImport(t)
	}
	attributes(t, x)
	setAttributes(t, x)
	params(t, x)
	readHeaders(t, x)
	changeHeaders(t, x)
	respond(t, x)
	variables(t, x)
	state(t, x)
	consumer(t, x)
	stale(t, x)
	texts(t, x)
	c.metrics.count(t)
	waiting(t, x)
	bodies(t, x)
	if t.phase == "A" || t.phase == "L" {
		values(t)
	}
}

func (c *conformance) requestHook(x *swapgate.Exchange, phase, name string) (swapgate.Flow, error) {
	t := &trace{phase: phase}
	c.probe(t, x)
	t.store(x)
	if c.Respond != name {
		return swapgate.Proceed, nil
	}
	return x.Respond(299, []swapgate.Header{{Name: "x-answer", Value: "conformance"}}, "conformance\n")
}

// Rewrite is one of the phases.
func (c *conformance) Rewrite(x *swapgate.Exchange) (swapgate.Flow, error) {
	return c.requestHook(x, "R", "rewrite")
}

// Access is one of the phases.
func (c *conformance) Access(x *swapgate.Exchange) (swapgate.Flow, error) {
	flow, err := c.requestHook(x, "A", "access")
	if c.Wait == "" || err != nil {
		return flow, err
	}
	return swapgate.Pending, c.wait(x)
}

// HeaderFilter is one of the phases.
func (c *conformance) HeaderFilter(x *swapgate.Exchange) (swapgate.Flow, error) {
	t := &trace{phase: "H"}
	c.probe(t, x)
	return swapgate.Proceed, x.SetHeader(swapgate.ResponseHeaders, "x-trace", t.store(x))
}

// Log is one of the phases.
func (c *conformance) Log(x *swapgate.Exchange) error {
	t := &trace{phase: "L"}
	c.probe(t, x)
	return t.write()
}

// RequestEnd is one of the phases.
func (c *conformance) RequestEnd(x *swapgate.Exchange) {
	t := &trace{phase: "E"}
	c.probe(t, x)
	_ = t.write()
}
