//! Numbered messages, and the account of those that came back.

use std::time::Instant;

use serde_json::{Value, json};
use swapgate_bench::histogram::Histogram;

/// The longest text behind the number of a message.
const LONGEST: u64 = 3000;

/// How many came back, and how long that took.
#[derive(Debug, Default)]
pub(crate) struct Account {
    sent: u64,
    back: u64,
    latency: Histogram,
}

impl Account {
    /// The next message: its number, and text of a length that changes.
    pub(crate) fn next(&mut self) -> String {
        self.sent += 1;
        let length = usize::try_from(self.sent * 37 % LONGEST).unwrap_or(0);
        format!("message {} {}", self.sent, ".".repeat(length))
    }

    /// The one that was sent last came back.
    pub(crate) fn came_back(&mut self, sent: Instant) {
        self.back += 1;
        let micros = sent.elapsed().as_micros();
        self.latency.add(u64::try_from(micros).unwrap_or(u64::MAX));
    }

    /// The figures.
    pub(crate) fn report(&self) -> Value {
        json!({
            "sent": self.sent,
            "back": self.back,
            "p50_us": self.latency.quantile(0.5),
            "p99_us": self.latency.quantile(0.99),
            "max_us": self.latency.quantile(1.0),
        })
    }
}
