// A plugin in Go that waits for a goroutine: it looks the client up in a table that answers slowly, and tells the upstream
// what it found in the header x-tier. No thread of the gateway waits meanwhile.
package main

// #cgo CFLAGS: -I${SRCDIR}/../../../go -I${SRCDIR}/../../../include -fvisibility=hidden
import "C"

import (
	"encoding/json"
	"fmt"
	"time"

	"sdk.example/swapgate"
)

const schema = `{"type": "object", "additionalProperties": false, "properties": {
  "tiers": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[a-z]{1,32}$"}},
  "takes_ms": {"type": "integer", "minimum": 0, "maximum": 60000}}}`

func init() {
	swapgate.Export(swapgate.Plugin{Priority: 500, Schema: schema}, configure)
}

func main() {}

// lookup is an instance. Nothing in it changes, so that every worker may read it.
type lookup struct {
	Tiers   map[string]string `json:"tiers"`
	TakesMs int64             `json:"takes_ms"`
}

// pending is what a goroutine finds out for one exchange.
type pending struct{ tier chan string }

func configure(config []byte) (*lookup, error) {
	instance := &lookup{}
	if err := json.Unmarshal(config, instance); err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return instance, nil
}

// Access starts a goroutine and waits for it to wake this exchange.
func (l *lookup) Access(x *swapgate.Exchange) (swapgate.Flow, error) {
	client, err := x.Header(swapgate.RequestHeaders, "x-client")
	if err != nil {
		return x.Respond(400, nil, "say who you are, in the header x-client\n")
	}
	if client == "panic" {
		panic("the client asked for it")
	}
	waker, err := x.Waker()
	if err != nil {
		return 0, err
	}
	found := &pending{tier: make(chan string, 1)}
	if err := x.SetState(found); err != nil {
		return 0, err
	}
	swapgate.Go(func() {
		time.Sleep(time.Duration(l.TakesMs) * time.Millisecond)
		tier, known := l.Tiers[client]
		if !known {
			tier = "free"
		}
		found.tier <- tier
		// Stale if the client did not wait: nobody is harmed.
		_ = waker.Wake()
	})
	return swapgate.Pending, nil
}

// OnEvent takes what the goroutine found.
func (l *lookup) OnEvent(x *swapgate.Exchange, event *swapgate.Event) (swapgate.Flow, error) {
	if event.Kind != swapgate.EventWake {
		return swapgate.Pending, nil
	}
	state, err := x.State()
	if err != nil {
		return 0, err
	}
	found, is := state.(*pending)
	if !is {
		return 0, swapgate.Failed
	}
	select {
	case tier := <-found.tier:
		return swapgate.Proceed, x.SetHeader(swapgate.RequestHeaders, "x-tier", tier)
	default:
		return swapgate.Pending, nil
	}
}
