//! The page a scrape is answered with: families in the text format of Prometheus.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use swapgate_plugin::metric::Kind as PluginKind;

use super::book::Shown;
use super::names::{Kind, Name};
use super::series::Reading;

/// The content type of the page.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What is shown, family by family.
#[derive(Debug, Default)]
pub struct Page(Vec<MetricFamily>);

/// One family while it is being filled.
#[derive(Debug)]
pub struct Family {
    shown: MetricFamily,
    labels: &'static [&'static str],
    kind: Kind,
}

impl Family {
    /// A metric of the gateway's own, without series.
    #[must_use]
    pub fn of(name: &Name) -> Self {
        Self {
            shown: family(name.name, name.help, name.kind),
            labels: name.labels,
            kind: name.kind,
        }
    }

    /// Adds a series of a counter or a gauge; one value for each label.
    #[allow(
        clippy::cast_precision_loss,
        reason = "the format has no other numbers; exact up to 2^53"
    )]
    pub fn count(&mut self, labels: &[&str], value: u64) {
        self.number(labels, value as f64);
    }

    /// The same for a number that is not whole.
    pub fn number(&mut self, labels: &[&str], value: f64) {
        let pairs = pairs(self.labels.iter().copied().zip(labels.iter().copied()));
        self.shown
            .mut_metric()
            .push(number(pairs, self.kind, value));
    }

    /// Adds a series of a histogram; `buckets` are cumulative, without the last one.
    pub fn observations(&mut self, labels: &[&str], sum: f64, count: u64, buckets: &[(f64, u64)]) {
        let pairs = pairs(self.labels.iter().copied().zip(labels.iter().copied()));
        self.shown
            .mut_metric()
            .push(histogram(pairs, sum, count, buckets));
    }
}

impl Page {
    /// Adds a family, unless it has no series.
    pub fn add(&mut self, family: Family) {
        if !family.shown.get_metric().is_empty() {
            self.0.push(family.shown);
        }
    }

    /// Adds a metric that a plugin declared.
    pub fn add_plugin(&mut self, shown: &Shown) {
        let kind = match shown.kind {
            PluginKind::Counter => Kind::Counter,
            PluginKind::Gauge => Kind::Gauge,
            PluginKind::Histogram => Kind::Histogram,
        };
        let mut family = family(&shown.name, &shown.help, kind);
        for (labels, reading) in &shown.series {
            let pairs = pairs(labels.iter().map(|(name, value)| (&**name, &**value)));
            let metric = match reading {
                Reading::Number(value) => number(pairs, kind, *value),
                Reading::Histogram {
                    sum,
                    count,
                    buckets,
                } => histogram(pairs, *sum, *count, buckets),
            };
            family.mut_metric().push(metric);
        }
        if !family.get_metric().is_empty() {
            self.0.push(family);
        }
    }

    /// The page as text.
    ///
    /// # Errors
    /// What the encoder says; a fault of the gateway.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }
}

fn family(name: &str, help: &str, kind: Kind) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(match kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family
}

fn pairs<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.map(pair).collect()
}

fn number(pairs: Vec<LabelPair>, kind: Kind, value: f64) -> Metric {
    let mut metric = Metric::from_label(pairs);
    if kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

fn histogram(pairs: Vec<LabelPair>, sum: f64, count: u64, buckets: &[(f64, u64)]) -> Metric {
    let bucket = |(bound, count): &(f64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_sample_sum(sum);
    histogram.set_sample_count(count);
    histogram.set_bucket(buckets.iter().map(bucket).collect());
    let mut metric = Metric::from_label(pairs);
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::names;

    #[test]
    fn labels_are_escaped_and_families_without_series_are_left_out() {
        let mut page = Page::default();
        let mut swaps = Family::of(&names::SWAPS);
        swaps.count(&["a\"b\\c\nd"], 3);
        page.add(swaps);
        page.add(Family::of(&names::STUCK));
        let mut duration = Family::of(&names::REQUEST_DURATION);
        duration.observations(&["r", "s"], 0.5, 2, &[(0.1, 1)]);
        page.add(duration);
        let text = page.text().unwrap();
        assert!(
            text.contains("swapgate_swaps_total{outcome=\"a\\\"b\\\\c\\nd\"} 3\n"),
            "{text}"
        );
        assert!(!text.contains("stuck"));
        for line in [
            "swapgate_request_duration_seconds_bucket{route=\"r\",service=\"s\",le=\"0.1\"} 1\n",
            "swapgate_request_duration_seconds_bucket{route=\"r\",service=\"s\",le=\"+Inf\"} 2\n",
            "swapgate_request_duration_seconds_count{route=\"r\",service=\"s\"} 2\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
