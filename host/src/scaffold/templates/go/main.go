// @name@: a plugin for the Swapgate gateway.
//
// It does the two things most plugins do. It edits answers: each gets the header x-greeting. And it answers some requests
// itself: those below the path deny get 403 and never reach the upstream. Read it from top to bottom, then make it yours.
// The package in sdk/swapgate says what there is in Go; swapgate.h is the reference: who calls what, when, on which thread.
package main

// #cgo CFLAGS: -I${SRCDIR}/sdk/swapgate -I${SRCDIR}/sdk/include -fvisibility=hidden
import "C"

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"plugin.example/plugin-@name@/sdk/swapgate"
)

// What the configuration may look like, as JSON Schema. The gateway refuses everything else before configure is called.
const schema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["greeting"],
  "properties": {
    "greeting": {"type": "string", "pattern": "^[ -~]{0,256}$", "description": "the value of the header x-greeting"},
    "deny": {"type": "string", "pattern": "^/[!-~]{0,256}$",
      "description": "requests to this path, and below it, are answered with 403"}
  }
}`

func init() {
	// The hooks are found by their names: what the type does not have is absent, and costs nothing.
	swapgate.Export(swapgate.Plugin{
		Priority: 100, // where it stands among other plugins; the highest comes first
		Schema:   schema,
	}, configure)
}

// Never called; a library has none.
func main() {}

// greeter is an instance: what one configuration became. All workers share it and call it at the same time, so hooks only
// read it.
type greeter struct {
	Greeting *string `json:"greeting"`
	Deny     string  `json:"deny"`
}

// configure is called once per configuration. Its error is why the configuration is refused.
func configure(config []byte) (*greeter, error) {
	g := &greeter{}
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(g); err != nil {
		return nil, fmt.Errorf(`expected {"greeting": "..."} and perhaps "deny": "/...": %w`, err)
	}
	if g.Greeting == nil {
		return nil, errors.New(`expected {"greeting": "..."}, found none`)
	}
	g.Deny = strings.TrimRight(g.Deny, "/")
	return g, nil
}

// Access is called when the route is known and nothing was sent to the upstream yet. It runs on a thread of the gateway:
// what takes long belongs to a goroutine, with x.Waker(), and the hook returns swapgate.Pending meanwhile.
func (g *greeter) Access(x *swapgate.Exchange) (swapgate.Flow, error) {
	if g.Deny == "" {
		return swapgate.Proceed, nil
	}
	// The path is normalised.
	path, err := x.Attr(swapgate.AttrPath)
	if err != nil {
		return 0, err
	}
	if path != g.Deny && !strings.HasPrefix(path, g.Deny+"/") {
		return swapgate.Proceed, nil
	}
	_ = swapgate.Log(swapgate.LogInfo, "denied a request")
	return x.Respond(403, []swapgate.Header{{Name: "content-type", Value: "application/problem+json"}},
		`{"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "nobody gets in here"}`)
}

// HeaderFilter is called when the head of the answer is there, whoever made it: the upstream, another plugin, or the gateway.
func (g *greeter) HeaderFilter(x *swapgate.Exchange) (swapgate.Flow, error) {
	// An error is for the log; the client gets what on_error says.
	return swapgate.Proceed, x.SetHeader(swapgate.ResponseHeaders, "x-greeting", *g.Greeting)
}
