//! What the gateway shows of this plugin at `/metrics`, by the name of the policy.

use swapgate_plugin::{Counter, Gauge, log};

use crate::store::Taken;

/// The series of one policy; instances with the same policy share them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metrics {
    admitted: Counter,
    refused: Counter,
    shared: Counter,
    dropped: Counter,
    keys: Gauge,
}

impl Metrics {
    /// None where the gateway takes no more series, as with very many policies: a limit without numbers is better than
    /// no limit.
    pub(crate) fn declare(policy: &str) -> Option<Self> {
        let declared = Self::try_declare(policy);
        if let Err(error) = &declared {
            log::warn!("policy \"{policy}\" counts without metrics: {error}");
        }
        declared.ok()
    }

    fn try_declare(policy: &str) -> Result<Self, swapgate_plugin::DeclareError> {
        let requests = |outcome| {
            let help = "Requests that were counted, by what became of them.";
            Counter::declare(
                "requests",
                help,
                &[("policy", policy), ("outcome", outcome)],
            )
        };
        let labels = [("policy", policy)];
        Ok(Self {
            admitted: requests("admitted")?,
            refused: requests("refused")?,
            shared: Counter::declare(
                "shared_requests",
                "Requests of keys that found no room and shared a spare counter.",
                &labels,
            )?,
            dropped: Counter::declare(
                "keys_dropped",
                "Keys whose counters were dropped because they said nothing any more.",
                &labels,
            )?,
            keys: Gauge::declare("keys", "Keys that have a counter of their own.", &labels)?,
        })
    }

    /// Counts one request.
    pub(crate) fn count(&self, taken: &Taken) {
        if taken.verdict.admitted {
            self.admitted.inc();
        } else {
            self.refused.inc();
        }
        if taken.shared {
            self.shared.inc();
        }
        if taken.dropped > 0 {
            self.dropped.add(f64::from(taken.dropped));
        }
        // Gauges are shared by all workers, so this one is left alone unless it changes.
        let change = i64::from(taken.added) - i64::from(taken.dropped);
        if change != 0 {
            self.keys.add(change as f64);
        }
    }

    /// Adds the keys that another instance handed over.
    pub(crate) fn remember(&self, keys: usize) {
        self.keys.add(keys as f64);
    }

    /// Takes back the keys of an instance that ends.
    pub(crate) fn forget(&self, keys: usize) {
        self.keys.add(-(keys as f64));
    }
}
