//! What all connections write into; one thread, so no locks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swapgate_bench::histogram::Histogram;

/// Reasons kept in the report; the count is always complete.
const REASONS: usize = 10;

/// The account of a load.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    stop: Cell<bool>,
    measuring: Cell<bool>,
    failures: Cell<u64>,
    mixed: Cell<u64>,
    closed: Cell<u64>,
    all: RefCell<Window>,
    /// Answers that refuse, where those are expected.
    refused: RefCell<Window>,
    /// How much later than due requests were sent; says whether the load itself kept its pace.
    lag: RefCell<Histogram>,
    windows: RefCell<Vec<(String, Window)>>,
    current: Cell<usize>,
    versions: RefCell<BTreeMap<String, u64>>,
    /// The same by configuration, where those mark what they serve.
    configs: RefCell<BTreeMap<String, u64>>,
    reasons: RefCell<Vec<String>>,
    /// What the first connection agreed upon with the other side.
    agreed: RefCell<Option<String>>,
    /// The last body, where it is to be shown.
    shown: RefCell<Option<String>>,
}

/// Answers of one stretch of time.
#[derive(Debug, Default)]
struct Window {
    requests: u64,
    latency: Histogram,
}

/// When a request was due, and in which window that was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) window: usize,
}

impl Ledger {
    pub(crate) fn measure(&self, measuring: bool) {
        self.measuring.set(measuring);
    }

    pub(crate) fn stop(&self) {
        self.stop.set(true);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.get()
    }

    /// The window that is open now; 0 before the first one was named.
    pub(crate) fn window(&self) -> usize {
        self.current.get()
    }

    /// What follows belongs to the window `name`; coming back to a name goes on with its account.
    pub(crate) fn open_window(&self, name: &str) {
        let mut windows = self.windows.borrow_mut();
        let known = windows.iter().position(|(known, _)| known == name);
        self.current.set(known.unwrap_or(windows.len()));
        if known.is_none() {
            windows.push((name.to_owned(), Window::default()));
        }
    }

    pub(crate) fn sent(&self, due: Due) {
        if self.measuring.get() {
            self.lag.borrow_mut().add(microseconds(due.at.elapsed()));
        }
    }

    /// Counts a good answer. One that began or ended in a later window belongs to that: the windows of changes are
    /// named after the quiet one, and what a change delays must not be counted as quiet.
    pub(crate) fn success(&self, due: Due) {
        if !self.measuring.get() {
            return;
        }
        let latency = microseconds(due.at.elapsed());
        self.all.borrow_mut().add(latency);
        let window = due.window.max(self.current.get());
        if let Some((_, window)) = self.windows.borrow_mut().get_mut(window) {
            window.add(latency);
        }
    }

    /// Counts a refusal that was made as it should be.
    pub(crate) fn refusal(&self, due: Due) {
        if self.measuring.get() {
            let latency = microseconds(due.at.elapsed());
            self.refused.borrow_mut().add(latency);
        }
    }

    /// A failure counts during the warm-up as well: nothing may hide there.
    pub(crate) fn failure(&self, reason: String) {
        self.failures.update(|count| count + 1);
        let mut reasons = self.reasons.borrow_mut();
        if reasons.len() < REASONS {
            reasons.push(reason);
        }
    }

    pub(crate) fn mixed(&self) {
        self.mixed.update(|count| count + 1);
    }

    pub(crate) fn closed(&self) {
        self.closed.update(|count| count + 1);
    }

    pub(crate) fn served_by(&self, version: String, config: Option<String>) {
        *self.versions.borrow_mut().entry(version).or_default() += 1;
        if let Some(config) = config {
            *self.configs.borrow_mut().entry(config).or_default() += 1;
        }
    }

    /// Keeps the words of the first connection.
    pub(crate) fn agreed(&self, words: impl FnOnce() -> String) {
        self.agreed.borrow_mut().get_or_insert_with(words);
    }

    pub(crate) fn show(&self, body: String) {
        *self.shown.borrow_mut() = Some(body);
    }

    pub(crate) fn report(&self) -> Value {
        let mut report = self.all.borrow().report();
        report["refused"] = self.refused.borrow().report();
        report["failures"] = json!(self.failures.get());
        report["mixed"] = json!(self.mixed.get());
        report["closed"] = json!(self.closed.get());
        report["lag_p99_us"] = json!(self.lag.borrow().quantile(0.99));
        report["versions"] = json!(*self.versions.borrow());
        report["configs"] = json!(*self.configs.borrow());
        report["reasons"] = json!(*self.reasons.borrow());
        report["agreed"] = json!(*self.agreed.borrow());
        report["body"] = json!(*self.shown.borrow());
        let windows = self.windows.borrow();
        let windows = windows.iter().map(|(name, window)| (name, window.report()));
        report["windows"] = windows
            .map(|(name, report)| (name.clone(), report))
            .collect();
        report
    }
}

impl Window {
    fn add(&mut self, latency: u64) {
        self.requests += 1;
        self.latency.add(latency);
    }

    fn report(&self) -> Value {
        json!({
            "requests": self.requests,
            "p50_us": self.latency.quantile(0.5),
            "p99_us": self.latency.quantile(0.99),
            "p999_us": self.latency.quantile(0.999),
            "max_us": self.latency.quantile(1.0),
        })
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Due, Ledger};

    #[test]
    fn what_a_change_delays_belongs_to_the_change() {
        let ledger = Ledger::default();
        let due = |ledger: &Ledger| Due {
            at: Instant::now(),
            window: ledger.window(),
        };
        ledger.open_window("quiet");
        ledger.success(due(&ledger));
        ledger.measure(true);
        ledger.success(due(&ledger));
        let before = due(&ledger);
        ledger.open_window("swap");
        ledger.success(before);
        let within = due(&ledger);
        ledger.open_window("quiet");
        ledger.success(within);
        ledger.success(due(&ledger));
        let report = ledger.report();
        let requests = |name: &str| report["windows"][name]["requests"].as_u64().unwrap();
        assert_eq!((requests("quiet"), requests("swap")), (2, 2));
        assert_eq!(report["requests"], 4);
    }
}
