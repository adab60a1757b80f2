//! Whom plugins may call: the services of the configuration, and the allow list.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::allow::AllowList;
use crate::config::ready::Config;
use crate::discovery::Known;
use crate::discovery::known::Located;
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
    /// Its targets; none while names lead nowhere.
    targets: Box<[Located]>,
    /// Which of them is next, each as often as its weight says.
    order: Box<[usize]>,
    /// How they are spoken to.
    pub manner: Manner,
    next: AtomicUsize,
    /// How long a connect to one target may take.
    pub connect: Duration,
}

impl Directory {
    /// What a configuration says, with what is known of its names. A service whose targets speak TLS is there only with what
    /// was made of its files.
    #[must_use]
    pub fn of(config: &Config, material: &Material, known: &Known) -> Self {
        let services = config.services.iter().filter_map(|service| {
            let upstream = config.upstreams.get(service.upstream)?;
            let tls = material.upstream(&upstream.name).cloned();
            if upstream.tls.is_some() && tls.is_none() {
                return None;
            }
            let manner = Manner {
                protocol: upstream.protocol,
                tls,
            };
            let targets = known.locate(&upstream.targets);
            let called = Called::new(targets, manner, service.timeouts.connect);
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
    /// A service with these targets.
    #[must_use]
    pub fn new(targets: Vec<Located>, manner: Manner, connect: Duration) -> Self {
        // Dealt out round by round, so that a heavy target does not get its share in one burst. All threads share one
        // position: callouts are few beside requests, so one count for all of them is no bottleneck.
        let weights = || targets.iter().map(|target| target.weight);
        let unit = weights().fold(0, gcd).max(1);
        let rounds = weights().max().unwrap_or(0) / unit;
        let order = (0..rounds).flat_map(|round| {
            let has_more = move |(_, weight): &(usize, u32)| weight / unit > round;
            let with_more = weights().enumerate().filter(has_more);
            with_more.map(|(at, _)| at)
        });
        Self {
            order: order.collect(),
            targets: targets.into(),
            manner,
            next: AtomicUsize::new(0),
            connect,
        }
    }

    /// The targets in the order in which they are to be tried, each once: the better tiers before the others.
    #[must_use]
    pub fn turn(&self) -> Vec<&Located> {
        let from = self.next.fetch_add(1, Ordering::Relaxed) % self.order.len().max(1);
        let mut left: Vec<_> = self.targets.iter().map(Some).collect();
        let mut turn = Vec::with_capacity(left.len());
        let all = self.order.iter().cycle().skip(from).take(self.order.len());
        for at in all {
            turn.extend(left.get_mut(*at).and_then(Option::take));
            if turn.len() == left.len() {
                break;
            }
        }
        turn.sort_by_key(|target| target.priority);
        turn
    }
}

/// The greatest number that divides both; 0 divides nothing.
fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::endpoint::Endpoint;

    fn target(port: u16, weight: u32, priority: u8) -> Located {
        Located {
            address: Endpoint::from(SocketAddr::from(([127, 0, 0, 1], port))),
            name: None,
            weight,
            priority,
        }
    }

    fn turn(called: &Called) -> Vec<u16> {
        let turn = called.turn();
        turn.iter().filter_map(|one| one.address.port()).collect()
    }

    #[test]
    fn targets_take_turns_by_weight_and_every_one_is_tried() {
        let targets = vec![target(1, 200, 0), target(2, 100, 0)];
        let called = Called::new(targets, Manner::PLAIN, Duration::from_secs(1));
        let first: Vec<_> = (0..6).map(|_| turn(&called)[0]).collect();
        assert_eq!(first, [1, 2, 1, 1, 2, 1]);
        assert_eq!(turn(&called), [1, 2]);
        assert_eq!(turn(&called), [2, 1]);
    }

    #[test]
    fn better_tiers_come_first_and_nobody_may_be_there() {
        let targets = vec![target(1, 1, 1), target(2, 1, 0)];
        let called = Called::new(targets, Manner::PLAIN, Duration::from_secs(1));
        assert_eq!((turn(&called), turn(&called)), (vec![2, 1], vec![2, 1]));
        let nobody = Called::new(Vec::new(), Manner::PLAIN, Duration::from_secs(1));
        assert!(nobody.turn().is_empty());
    }
}
