//! Who watches over targets: what is configured, removed, and due to return. It only ever writes to
//! [`TargetHealth`](crate::health::TargetHealth), which workers read.

mod returns;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};

use crate::endpoint::Endpoint;
use crate::health::TargetHealth;
use crate::metrics::Metrics;
use crate::snapshot::Upstream;

/// Upstream and target.
type Key = (Arc<str>, Endpoint);

/// Watches over the targets of what serves, until it is dropped.
pub struct Checks {
    known: HashMap<Key, Arc<TargetHealth>>,
    returns: JoinHandle<()>,
}

impl Checks {
    /// Watches over nothing yet.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            known: HashMap::new(),
            returns: spawn_local(returns::follow(Arc::clone(metrics))),
        }
    }

    /// These are the upstreams from now on; called for every snapshot before workers are given it.
    pub fn follow(&mut self, upstreams: &[Arc<Upstream>]) {
        let mut before = std::mem::take(&mut self.known);
        for upstream in upstreams {
            for target in &upstream.targets {
                let health = &target.account.health;
                health.configured(&upstream.health);
                let key = (Arc::clone(&upstream.name), target.address.clone());
                before.remove(&key);
                self.known.insert(key, Arc::clone(health));
            }
        }
        before.values().for_each(|health| health.removed());
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.returns.abort();
    }
}
