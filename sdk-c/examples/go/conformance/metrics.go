package main

import (
	"math"
	"strings"

	"sdk.example/swapgate"
)

type declared struct {
	metric swapgate.Metric
	err    error
}

type refusal struct {
	step string
	err  error
}

// metrics is what configure declared, and what it was answered.
type metrics struct {
	counter, again, gauge, histogram declared
	refused                          []refusal
}

func declareMetrics() *metrics {
	m := &metrics{}
	declare := func(kind uint32, name, help string, labels []swapgate.Label, bounds []float64) declared {
		metric, err := swapgate.Declare(kind, name, help, labels, bounds)
		return declared{metric, err}
	}
	by := []swapgate.Label{{Name: "by", Value: "probe"}}
	m.counter = declare(swapgate.Counter, "probes", "Probes.", by, nil)
	m.again = declare(swapgate.Counter, "probes", "Probes.", by, nil)
	m.gauge = declare(swapgate.Gauge, "level", "Help.", nil, nil)
	m.histogram = declare(swapgate.Histogram, "size_bytes", "Help.", nil, []float64{1, 10})
	for _, bad := range []struct {
		step       string
		kind       uint32
		name, help string
		labels     []swapgate.Label
		bounds     []float64
	}{
		{"bad_name", swapgate.Counter, "Probes", "Help.", nil, nil},
		{"ending", swapgate.Counter, "x_total", "Help.", nil, nil},
		{"no_help", swapgate.Counter, "x", "", nil, nil},
		{"no_labels", swapgate.Counter, "probes", "Help.", nil, nil},
		{"other_kind", swapgate.Counter, "level", "Help.", nil, nil},
		{"other_bounds", swapgate.Histogram, "size_bytes", "Help.", nil, []float64{1}},
		{"no_bounds", swapgate.Histogram, "x", "Help.", nil, nil},
		{"bounds", swapgate.Gauge, "x", "Help.", nil, []float64{1}},
		{"falling", swapgate.Histogram, "x", "Help.", nil, []float64{2, 1}},
		{"le", swapgate.Counter, "x", "Help.", []swapgate.Label{{Name: "le", Value: "1"}}, nil},
		{"long", swapgate.Counter, strings.Repeat("n", 101), "Help.", nil, nil},
	} {
		made := declare(bad.kind, bad.name, bad.help, bad.labels, bad.bounds)
		m.refused = append(m.refused, refusal{bad.step, made.err})
	}
	return m
}

func (m *metrics) tell(t *trace) {
	t.code("metric_declare.counter", m.counter.err)
	t.code("metric_declare.gauge", m.gauge.err)
	t.code("metric_declare.histogram", m.histogram.err)
	same := "no"
	if m.counter.metric == m.again.metric {
		same = "yes"
	}
	t.word("metric_declare.same", same)
	for _, refused := range m.refused {
		t.code("metric_declare."+refused.step, refused.err)
	}
}

func (m *metrics) count(t *trace) {
	counter, gauge, histogram := m.counter.metric, m.gauge.metric, m.histogram.metric
	infinite := math.Inf(1)
	t.code("metric_add.counter", counter.Add(1))
	t.code("metric_add.negative", counter.Add(-1))
	t.code("metric_add.infinite", counter.Add(infinite))
	t.code("metric_add.gauge", gauge.Add(-2))
	t.code("metric_add.histogram", histogram.Add(1))
	t.code("metric_set.gauge", gauge.Set(5))
	t.code("metric_set.infinite", gauge.Set(infinite))
	t.code("metric_set.counter", counter.Set(1))
	t.code("metric_observe.histogram", histogram.Observe(3))
	t.code("metric_observe.counter", counter.Observe(1))
	t.code("metric_add.stale", swapgate.MetricOf(^counter.Token()).Add(1))
	t.code("metric_set.zero", swapgate.MetricOf(0).Set(1))
	_, err := swapgate.Declare(swapgate.Counter, "x", "Help.", nil, nil)
	t.code("metric_declare.hook", err)
}
