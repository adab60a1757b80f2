//! One metric of each kind, and declarations the gateway refuses.

use swapgate_plugin::HostError;
use swapgate_plugin::guest::call::Raw;
use swapgate_plugin::guest::call::metric::RawMetric;
use swapgate_plugin::metric::Kind;

use crate::trace::Trace;

/// One byte more than a name may have.
const LONG_NAME: usize = 101;

type Answer = Result<RawMetric, HostError>;

/// What `configure` declared, and what the gateway answered to it.
#[derive(Debug)]
pub(crate) struct Metrics {
    counter: Answer,
    again: Answer,
    gauge: Answer,
    histogram: Answer,
    refused: Vec<(&'static str, Answer)>,
}

impl Metrics {
    pub(crate) fn declare() -> Self {
        use Kind::{Counter, Gauge, Histogram};
        let plain =
            |kind, name: &str, bounds: &[f64]| RawMetric::declare(kind, name, "Help.", &[], bounds);
        let counter = || RawMetric::declare(Counter, "probes", "Probes.", &[("by", "probe")], &[]);
        let long = "n".repeat(LONG_NAME);
        Self {
            counter: counter(),
            again: counter(),
            gauge: plain(Gauge, "level", &[]),
            histogram: plain(Histogram, "size_bytes", &[1.0, 10.0]),
            refused: vec![
                ("bad_name", plain(Counter, "Probes", &[])),
                ("ending", plain(Counter, "x_total", &[])),
                ("no_help", RawMetric::declare(Counter, "x", "", &[], &[])),
                ("no_labels", plain(Counter, "probes", &[])),
                ("other_kind", plain(Counter, "level", &[])),
                ("other_bounds", plain(Histogram, "size_bytes", &[1.0])),
                ("no_bounds", plain(Histogram, "x", &[])),
                ("bounds", plain(Gauge, "x", &[1.0])),
                ("falling", plain(Histogram, "x", &[2.0, 1.0])),
                (
                    "le",
                    RawMetric::declare(Counter, "x", "Help.", &[("le", "1")], &[]),
                ),
                ("long", plain(Counter, &long, &[])),
            ],
        }
    }

    /// What `configure` was answered.
    pub(crate) fn tell(&self, trace: &mut Trace) {
        trace.code("metric_declare.counter", self.counter);
        trace.code("metric_declare.gauge", self.gauge);
        trace.code("metric_declare.histogram", self.histogram);
        let same = token(&self.counter) == token(&self.again);
        trace.word("metric_declare.same", if same { "yes" } else { "no" });
        for (step, answer) in &self.refused {
            trace.code(&format!("metric_declare.{step}"), *answer);
        }
    }

    pub(crate) fn count(&self, trace: &mut Trace, raw: &Raw<'_>) {
        let (Ok(counter), Ok(gauge), Ok(histogram)) = (self.counter, self.gauge, self.histogram)
        else {
            trace.word("metrics", "none");
            return;
        };
        trace.code("metric_add.counter", counter.add(1.0));
        trace.code("metric_add.negative", counter.add(-1.0));
        trace.code("metric_add.infinite", counter.add(f64::INFINITY));
        trace.code("metric_add.gauge", gauge.add(-2.0));
        trace.code("metric_add.histogram", histogram.add(1.0));
        trace.code("metric_set.gauge", gauge.set(5.0));
        trace.code("metric_set.infinite", gauge.set(f64::INFINITY));
        trace.code("metric_set.counter", counter.set(1.0));
        trace.code("metric_observe.histogram", histogram.observe(3.0));
        trace.code("metric_observe.counter", counter.observe(1.0));
        let stale = counter.with_token(!counter.token());
        trace.code("metric_add.stale", stale.add(1.0));
        trace.code("metric_set.zero", gauge.with_token(0).set(1.0));
        trace.code("metric_declare.hook", raw.metric_declare("x"));
    }
}

fn token(answer: &Answer) -> Option<u64> {
    answer.ok().map(RawMetric::token)
}
