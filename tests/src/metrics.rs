//! What `/metrics` says, series by series.

use crate::eventually::wait_until;
use crate::gateway::Gateway;

/// One scrape.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The whole text.
    pub text: String,
}

impl Gateway {
    /// Asks for the metrics.
    ///
    /// # Panics
    /// When they are not answered.
    #[must_use]
    #[track_caller]
    pub fn metrics(&self) -> Scrape {
        let answer = self.admin("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = answer.text();
        Scrape { text }
    }

    /// Waits until a series stands at `expected`: an exchange is counted when it is over, which may be a moment after
    /// its client has the answer.
    ///
    /// # Panics
    /// When it does not for too long.
    #[track_caller]
    pub fn wait_for_metric(&self, series: &str, expected: f64) {
        wait_until(&format!("{series} is {expected}"), || {
            self.metrics().value(series) == Some(expected)
        });
    }
}

impl Scrape {
    /// The value of a series, written as it stands in the text: `name{label="value"}`.
    #[must_use]
    #[track_caller]
    pub fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        found.parse().ok()
    }

    /// All series of a metric, as they stand in the text, without their values.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<String> {
        let lines = self.text.lines().filter_map(|line| line.rsplit_once(' '));
        lines
            .map(|(series, _)| series)
            .filter(|series| series.split('{').next() == Some(name))
            .map(str::to_owned)
            .collect()
    }
}
