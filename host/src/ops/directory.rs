//! Whom plugins may call: the services of the configuration, and the allow list.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::allow::AllowList;
use crate::config::ready::Config;
use crate::endpoint::Endpoint;
use crate::tls::Material;
use crate::upstream::manner::Manner;

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
    targets: Box<[Endpoint]>,
    /// How they are spoken to.
    pub manner: Manner,
    next: AtomicUsize,
    /// How long a connect to one target may take.
    pub connect: Duration,
}

impl Directory {
    /// What a configuration says. A service whose targets speak TLS is there only with what was made of its files.
    #[must_use]
    pub fn of(config: &Config, material: &Material) -> Self {
        let services = config.services.iter().filter_map(|service| {
            let upstream = config.upstreams.get(service.upstream)?;
            let tls = material.upstream(&upstream.name).cloned();
            if upstream.tls.is_some() && tls.is_none() {
                return None;
            }
            let targets = upstream.targets.iter();
            let weights: Vec<_> = targets
                .filter_map(|target| Some((target.address.fixed()?.clone(), target.weight)))
                .collect();
            let manner = Manner {
                protocol: upstream.protocol,
                tls,
            };
            let called = Called::new(&weights, manner, service.timeouts.connect);
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
    pub fn new(targets: &[(Endpoint, u32)], manner: Manner, connect: Duration) -> Self {
        // Dealt out round by round, so that a heavy target does not get its share in one burst. All threads share one
        // position: callouts are few beside requests, so one count for all of them is no bottleneck.
        let rounds = targets.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        let order = (0..rounds).flat_map(|round| {
            let has_more = move |(_, weight): &&(Endpoint, u32)| *weight > round;
            let with_more = targets.iter().filter(has_more);
            with_more.map(|(address, _)| address.clone())
        });
        Self {
            targets: order.collect(),
            manner,
            next: AtomicUsize::new(0),
            connect,
        }
    }

    /// The targets in the order in which they are to be tried, each once.
    #[must_use]
    pub fn turn(&self) -> Vec<Endpoint> {
        let from = self.next.fetch_add(1, Ordering::Relaxed) % self.targets.len().max(1);
        let mut turn: Vec<Endpoint> = Vec::new();
        let all = self.targets.iter().cycle();
        for address in all.skip(from).take(self.targets.len()) {
            if !turn.contains(address) {
                turn.push(address.clone());
            }
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn targets_take_turns_by_weight_and_every_one_is_tried() {
        let target = |port| Endpoint::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let weights = [(target(1), 2), (target(2), 1)];
        let called = Called::new(&weights, Manner::PLAIN, Duration::from_secs(1));
        let first: Vec<_> = (0..6).map(|_| called.turn()[0].port()).collect();
        assert_eq!(first, [1, 2, 1, 1, 2, 1].map(Some));
        assert_eq!(called.turn(), [target(1), target(2)]);
        assert_eq!(called.turn(), [target(2), target(1)]);
    }
}
