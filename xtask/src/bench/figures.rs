//! What rounds came to: medians, spreads, ratios.

use serde_json::{Value, json};

use crate::load::Report;

/// One contestant in one round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// How much later than due the load sent, 99 % of the time.
    pub(crate) lag_us: f64,
}

impl Sample {
    /// The parts of a round together; quantiles are the middle of theirs.
    pub(crate) fn of(parts: &[Report]) -> Self {
        let each = |key: &str| -> Vec<f64> { parts.iter().map(|part| part.measure(key)).collect() };
        let sum = |key| each(key).iter().sum();
        Self {
            requests: sum("requests"),
            seconds: sum("seconds"),
            cpu_seconds: sum("cpu_seconds"),
            p50_us: median(&each("p50_us")),
            p99_us: median(&each("p99_us")),
            p999_us: median(&each("p999_us")),
            lag_us: median(&each("lag_p99_us")),
        }
    }

    /// CPU of the contestant's process for one request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests / self.seconds
    }

    /// How much of its core the contestant used.
    pub(crate) fn core(&self) -> f64 {
        self.cpu_seconds / self.seconds
    }
}

/// One contestant in all rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    pub(crate) fn each(&self, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(figure).collect()
    }

    /// Every figure, a number a round.
    pub(crate) fn data(&self) -> Value {
        json!({
            "cpu_us": self.each(Sample::cpu_us),
            "rate": self.each(Sample::rate),
            "core": self.each(Sample::core),
            "p50_us": self.each(|sample| sample.p50_us),
            "p99_us": self.each(|sample| sample.p99_us),
            "p999_us": self.each(|sample| sample.p999_us),
            "lag_us": self.each(|sample| sample.lag_us),
        })
    }
}

/// One ratio for every round.
pub(crate) fn ratios(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left / right)
        .collect()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

pub(crate) fn spread_words(values: &[f64], digits: usize) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{low:.digits$} to {high:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::{median, ratios, spread_words};

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(
            [
                median(&[]),
                median(&[3.0]),
                median(&[9.0, 1.0, 2.0]),
                median(&[4.0, 1.0])
            ],
            [0.0, 3.0, 2.0, 2.5]
        );
        assert_eq!(spread_words(&[2.0, 1.0, 3.5], 1), "1.0 to 3.5");
    }

    #[test]
    fn ratios_are_those_of_the_rounds() {
        // The machine was half as fast in the last round; the ratio does not know.
        assert_eq!(ratios(&[2.0, 3.0, 6.0], &[1.0, 1.5, 3.0]), [2.0, 2.0, 2.0]);
    }
}
