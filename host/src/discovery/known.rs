//! Which places the targets of a configuration stand for.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::ready::{Target, TargetAddress};
use crate::endpoint::Endpoint;

/// The heaviest weight a target may have.
const HEAVIEST: u64 = 1000;

/// A server that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    /// How many tiers it is behind that of the configured target.
    pub tier: u8,
    /// By how much the weight of the configured target is multiplied.
    pub weight: u32,
}

/// A server that a target of the configuration stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where it listens.
    pub address: Endpoint,
    /// The name it was found by.
    pub name: Option<Arc<str>>,
    /// Its share, 1 to 1000.
    pub weight: u32,
    /// Its tier.
    pub priority: u8,
}

/// Which places names and services lead to. Where one is missing here, nothing is known of it yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(HashMap<TargetAddress, Arc<[Place]>>);

impl Known {
    /// What is known of some.
    #[must_use]
    pub fn new(found: impl IntoIterator<Item = (TargetAddress, Arc<[Place]>)>) -> Self {
        Self(found.into_iter().collect())
    }

    /// Where the targets of an upstream are, in the order of the configuration. Each address is there once, as the first of
    /// the targets that lead to it has it: whoever counts, judges or remembers targets goes by their addresses.
    #[must_use]
    pub fn locate(&self, targets: &[Target]) -> Vec<Located> {
        let mut taken = HashSet::new();
        let mut located = Vec::new();
        for target in targets {
            for one in self.of(target) {
                if taken.insert(one.address.clone()) {
                    located.push(one);
                }
            }
        }
        located
    }

    fn of(&self, target: &Target) -> Vec<Located> {
        if let TargetAddress::Fixed(address) = &target.address {
            return vec![Located {
                address: address.clone(),
                name: None,
                weight: target.weight,
                priority: target.priority,
            }];
        }
        let places = self.0.get(&target.address).map_or(&[][..], |list| list);
        let weights = places.iter().map(|place| product(target, place));
        let heaviest = weights.max().unwrap_or(1);
        let name = host_of(&target.address);
        let located = |place: &Place| Located {
            address: place.address.into(),
            name: name.clone(),
            weight: scaled(product(target, place), heaviest),
            priority: target.priority.saturating_add(place.tier),
        };
        places.iter().map(located).collect()
    }
}

/// The name that a target's server goes by: in `Host`, and in its certificate. Of a service this is its domain (RFC 6125,
/// 6.2.1), for what the DNS says of its servers is not what the operator wrote: who can forge the one can forge the other.
#[must_use]
pub fn host_of(target: &TargetAddress) -> Option<Arc<str>> {
    match target {
        TargetAddress::Fixed(_) => None,
        TargetAddress::Name { host, .. } => Some(bare(host)),
        TargetAddress::Service(name) => {
            let mut rest: &str = name;
            while let Some((label, domain)) = rest.split_once('.')
                && label.starts_with('_')
            {
                rest = domain;
            }
            Some(bare(rest))
        }
    }
}

/// Without the dot that says that a name is whole.
fn bare(name: &str) -> Arc<str> {
    name.strip_suffix('.').unwrap_or(name).into()
}

fn product(target: &Target, place: &Place) -> u64 {
    u64::from(target.weight) * u64::from(place.weight.max(1))
}

/// A weight from 1 to 1000, in proportion to the heaviest one where that is too heavy.
fn scaled(weight: u64, heaviest: u64) -> u32 {
    let weight = if heaviest > HEAVIEST {
        weight * HEAVIEST / heaviest
    } else {
        weight
    };
    u32::try_from(weight.clamp(1, HEAVIEST)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str) -> TargetAddress {
        TargetAddress::Name {
            host: host.into(),
            port: 80,
        }
    }

    fn target(address: TargetAddress, weight: u32, priority: u8) -> Target {
        Target {
            address,
            weight,
            priority,
        }
    }

    fn place(last: u8, tier: u8, weight: u32) -> Place {
        Place {
            address: SocketAddr::from(([10, 0, 0, last], 80)),
            tier,
            weight,
        }
    }

    #[test]
    fn every_address_of_a_name_is_a_target_of_its_weight_once() {
        let places = [place(1, 0, 1), place(2, 0, 1)];
        let known = Known::new([(name("a"), Arc::from(places))]);
        let fixed = TargetAddress::Fixed(places[1].address.into());
        let targets = [
            target(name("nowhere"), 9, 0),
            target(name("a"), 3, 1),
            target(fixed, 5, 0),
        ];
        let located = known.locate(&targets);
        let seen: Vec<_> = located
            .iter()
            .map(|one| (one.address.tcp().unwrap(), one.weight, one.priority))
            .collect();
        assert_eq!(
            seen,
            [(places[0].address, 3, 1), (places[1].address, 3, 1)],
            "the first target with an address has it"
        );
        assert_eq!(located[0].name.as_deref(), Some("a"));
    }

    #[test]
    fn weights_multiply_and_keep_their_proportion() {
        let service = TargetAddress::Service("_http._tcp.a.internal.".into());
        let weights = |places: &[Place], weight| -> Vec<u32> {
            let known = Known::new([(service.clone(), Arc::from(places))]);
            let located = known.locate(&[target(service.clone(), weight, 250)]);
            assert!(located.iter().all(|one| one.priority >= 250));
            located.iter().map(|one| one.weight).collect()
        };
        assert_eq!(weights(&[place(1, 0, 3), place(2, 9, 0)], 2), [6, 2]);
        let heavy = [place(1, 0, 60_000), place(2, 0, 30_000), place(3, 0, 1)];
        assert_eq!(weights(&heavy, 1000), [1000, 500, 1]);
        assert_eq!(host_of(&service).as_deref(), Some("a.internal"));
        assert_eq!(host_of(&name("b.")).as_deref(), Some("b"));
    }
}
