package swapgate

// #include "shims.h"
import "C"

import (
	"time"
	"unsafe"
)

// KV keeps values for all workers and across swaps. For every goroutine.
type KV struct{ table *C.sg_kv }

// OpenKV asks for it; Unavailable: this gateway has none.
func OpenKV() (KV, error) {
	table := C.sgo_extension(host, C.SG_KV_ID)
	if table == nil {
		return KV{}, Unavailable
	}
	return KV{(*C.sg_kv)(table)}, nil
}

// Get copies a value; its revision changes whenever the value does.
func (kv KV) Get(key string) (value []byte, revision uint64, err error) {
	room := make([]byte, 256)
	// It may grow between two calls.
	for {
		var length C.size_t
		var found C.uint64_t
		if err = check(C.sgo_kv_get(kv.table, host, key, (*C.uint8_t)(unsafe.Pointer(&room[0])), C.size_t(len(room)),
			&length, &found)); err != nil {
			return nil, 0, err
		}
		if int(length) <= len(room) {
			return room[:length], uint64(found), nil
		}
		room = make([]byte, length)
	}
}

// Set sets a value; a TTL of zero is none. Invalid: a TTL below zero.
func (kv KV) Set(key, value string, ttl time.Duration) error {
	ms, err := milliseconds(ttl)
	if err != nil {
		return err
	}
	return check(C.sgo_kv_set(kv.table, host, key, value, C.uint64_t(ms)))
}

// Add adds to a number and answers the sum.
func (kv KV) Add(key string, delta int64, ttl time.Duration) (int64, error) {
	ms, err := milliseconds(ttl)
	if err != nil {
		return 0, err
	}
	var sum C.int64_t
	err = check(C.sgo_kv_add(kv.table, host, key, C.int64_t(delta), C.uint64_t(ms), &sum))
	return int64(sum), err
}

// CompareAndSet sets a value if its revision is still this one; 0: if there is none. Conflict: somebody else was first.
func (kv KV) CompareAndSet(key string, revision uint64, value string, ttl time.Duration) error {
	ms, err := milliseconds(ttl)
	if err != nil {
		return err
	}
	return check(C.sgo_kv_compare_and_set(kv.table, host, key, C.uint64_t(revision), value, C.uint64_t(ms)))
}

// Remove removes a value.
func (kv KV) Remove(key string) error { return check(C.sgo_kv_remove(kv.table, host, key)) }

// Kinds of metrics.
const (
	Counter   = C.SG_METRIC_COUNTER
	Gauge     = C.SG_METRIC_GAUGE
	Histogram = C.SG_METRIC_HISTOGRAM
)

// Label is one label of a metric.
type Label struct{ Name, Value string }

// Metric is one series. For every goroutine.
type Metric struct{ token C.sg_metric_tok }

// Declare makes a series, or finds it. Not in hooks of requests.
func Declare(kind uint32, name, help string, labels []Label, bounds []float64) (Metric, error) {
	headers := make([]Header, 0, len(labels))
	for _, label := range labels {
		headers = append(headers, Header(label))
	}
	// A label is laid out as a header is.
	list, free := cHeaders(headers)
	defer free()
	var first *C.double
	if len(bounds) > 0 {
		first = (*C.double)(unsafe.Pointer(&bounds[0]))
	}
	var token C.sg_metric_tok
	err := check(C.sgo_metric_declare(host, C.uint32_t(kind), name, help, (*C.sg_label)(unsafe.Pointer(list)),
		C.size_t(len(labels)), first, C.size_t(len(bounds)), &token))
	return Metric{token}, err
}

// Token is the gateway's name for it.
func (m Metric) Token() uint64 { return uint64(m.token) }

// MetricOf is the series of a token.
func MetricOf(token uint64) Metric { return Metric{C.sg_metric_tok(token)} }

// Add adds to a counter or a gauge.
func (m Metric) Add(value float64) error {
	return check(C.sgo_metric_add(host, m.token, C.double(value)))
}

// Set sets a gauge.
func (m Metric) Set(value float64) error {
	return check(C.sgo_metric_set(host, m.token, C.double(value)))
}

// Observe counts an observation of a histogram.
func (m Metric) Observe(value float64) error {
	return check(C.sgo_metric_observe(host, m.token, C.double(value)))
}
