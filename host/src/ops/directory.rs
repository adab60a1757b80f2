//! Whom plugins may call: the services of the configuration, and the allow list.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::allow::AllowList;
use crate::config::ready::Config;

/// What one configuration says about callouts.
#[derive(Debug, Default)]
pub struct Directory {
    services: HashMap<Arc<str>, Arc<Called>>,
    /// What else may be called.
    pub allow: AllowList,
}

/// A service, as callouts see it.
#[derive(Debug)]
pub struct Called {
    /// Its targets, each as often as its weight says; never empty.
    targets: Box<[SocketAddr]>,
    next: AtomicUsize,
    /// How long a connect to one target may take.
    pub connect: Duration,
}

impl Directory {
    /// What a configuration says.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let services = config.services.iter().filter_map(|service| {
            let upstream = config.upstreams.get(service.upstream)?;
            let weights: Vec<_> = upstream
                .targets
                .iter()
                .filter_map(|target| Some((target.address.tcp()?, target.weight)))
                .collect();
            if weights.is_empty() {
                return None;
            }
            let called = Called::new(&weights, service.timeouts.connect);
            Some((Arc::clone(&service.name), Arc::new(called)))
        });
        Self {
            services: services.collect(),
            allow: config.callouts.allow.clone(),
        }
    }

    /// A service by its name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Arc<Called>> {
        self.services.get(name)
    }
}

impl Called {
    /// A service with these targets and weights.
    #[must_use]
    pub fn new(targets: &[(SocketAddr, u32)], connect: Duration) -> Self {
        // Dealt out round by round, so that a heavy target does not get its share in one burst. All threads share one
        // position: callouts are few beside requests, so one count for all of them is no bottleneck.
        let rounds = targets.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        let order = (0..rounds).flat_map(|round| {
            let has_more = move |(_, weight): &&(SocketAddr, u32)| *weight > round;
            targets.iter().filter(has_more).map(|(address, _)| *address)
        });
        Self {
            targets: order.collect(),
            next: AtomicUsize::new(0),
            connect,
        }
    }

    /// The targets in the order in which they are to be tried, each once.
    #[must_use]
    pub fn turn(&self) -> Vec<SocketAddr> {
        let from = self.next.fetch_add(1, Ordering::Relaxed) % self.targets.len().max(1);
        let mut turn: Vec<SocketAddr> = Vec::new();
        for address in self
            .targets
            .iter()
            .cycle()
            .skip(from)
            .take(self.targets.len())
        {
            if !turn.contains(address) {
                turn.push(*address);
            }
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_take_turns_by_weight_and_every_one_is_tried() {
        let (a, b): (SocketAddr, SocketAddr) =
            (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let called = Called::new(&[(a, 2), (b, 1)], Duration::from_secs(1));
        let first: Vec<SocketAddr> = (0..6).map(|_| called.turn()[0]).collect();
        assert_eq!(first, [a, b, a, a, b, a]);
        assert_eq!(called.turn(), [a, b]);
        assert_eq!(called.turn(), [b, a]);
    }
}
