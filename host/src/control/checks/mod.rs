//! Who watches over targets: asks them whether they are well, and brings back those whose time is over. It only ever
//! writes to [`TargetHealth`], which workers read.
//!
//! - `task`: the checks of one target; `probe` is one of them, `ask` a request, `grpc` the messages of gRPC;
//! - `returns`: when ejected targets come back.

mod ask;
mod grpc;
mod probe;
mod returns;
mod task;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};

use crate::counted::Metrics;
use crate::endpoint::Endpoint;
use crate::health::TargetHealth;
use crate::snapshot::{Target, Upstream};
use crate::upstream::manner::Destination;
use task::Task;

/// Upstream and target.
type Key = (Arc<str>, Endpoint);

/// Watches over the targets of what serves, until it is dropped.
pub struct Checks {
    known: HashMap<Key, Watched>,
    returns: JoinHandle<()>,
}

struct Watched {
    health: Arc<TargetHealth>,
    /// Where it is asked.
    task: Option<Task>,
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
                let key = (Arc::clone(&upstream.name), target.address.clone());
                let task = before.remove(&key).and_then(|watched| watched.task);
                self.known.insert(key, watch(upstream, target, task));
            }
        }
        for watched in before.into_values() {
            // It is not asked any more; then nothing can bring it back.
            drop(watched.task);
            watched.health.removed();
        }
    }
}

/// Watches over a target as its upstream says; a task of before that does just that goes on.
fn watch(upstream: &Upstream, target: &Target, task: Option<Task>) -> Watched {
    let health = Arc::clone(&target.account.health);
    health.configured(&upstream.health);
    let task = upstream.health.active.as_ref().map(|settings| {
        let to = Destination {
            target: target.address.clone(),
            name: target.name.clone(),
            manner: upstream.manner.clone(),
        };
        task.filter(|task| task.is_as(&to, settings))
            .unwrap_or_else(|| {
                health.begin_checks();
                Task::begin(to, settings.clone(), Arc::clone(&health))
            })
    });
    Watched { health, task }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.returns.abort();
    }
}
