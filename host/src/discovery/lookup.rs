//! One look-up of a name or a service, and what stays known where it fails.

mod host;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::host::Host;
use super::Place;
use super::admit::{has_route, is_admin};
use super::resolver::{Addresses, Answer, Miss, Resolver};
use super::srv::{self, Record};
use crate::config::ready::TargetAddress;

/// To how many places a name or a service leads at most.
const PLACES: usize = 256;
/// How many servers a service has at most.
const SERVERS: usize = 64;
/// How many servers are looked up at a time.
const AT_ONCE: usize = 8;

/// What is known of a name or a service.
pub struct Lookup {
    what: TargetAddress,
    /// No name leads there.
    admin: SocketAddr,
    /// Whether there is a way to an address.
    has_route: fn(IpAddr) -> bool,
    memory: Memory,
}

/// What is known of a name or a service from look-ups of before.
#[derive(Clone, Default)]
pub struct Memory {
    /// By name: what was looked for itself, or the servers of a service.
    hosts: Rc<BTreeMap<String, Host>>,
    /// Where it leads, in an order that does not depend on that of the answers.
    pub places: Arc<[Place]>,
}

/// What a look-up came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How long the places are good; none: they are those of before.
    pub ttl: Option<Duration>,
    /// What went wrong, with all of it or with a part.
    pub miss: Option<Miss>,
    /// Whether there is more than is used; this is no failure.
    pub more: bool,
}

impl Lookup {
    /// Of something that this is known of.
    #[must_use]
    pub fn new(what: TargetAddress, admin: SocketAddr, memory: Memory) -> Self {
        Self {
            what,
            admin,
            has_route,
            memory,
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Asks again.
    pub async fn renew(&mut self, resolver: &Rc<Resolver>) -> Outcome {
        match self.what.clone() {
            TargetAddress::Fixed(_) => Outcome::default(),
            TargetAddress::Name { host, port } => {
                let found = resolver.addresses(&host).await;
                self.name(&host, port, found)
            }
            TargetAddress::Service(name) => match resolver.services(&name).await {
                Ok(answer) => self.service(answer, resolver).await,
                Err(miss) => Outcome::missed(miss),
            },
        }
    }

    fn name(&mut self, host: &str, port: u16, found: Addresses) -> Outcome {
        let hosts = Rc::make_mut(&mut self.memory.hosts);
        let known = hosts.entry(host.to_owned()).or_default();
        match known.learn(found) {
            Ok(ttl) => {
                let place = |ip| Place {
                    address: SocketAddr::new(ip, port),
                    tier: 0,
                    weight: 1,
                };
                let places = known.all().map(place).collect();
                self.lead_to(places, ttl, None)
            }
            Err(miss) => Outcome::missed(miss),
        }
    }

    async fn service(&mut self, answer: Answer<Vec<Record>>, resolver: &Rc<Resolver>) -> Outcome {
        let Answer { records, mut ttl } = answer;
        if srv::are_none(&records) {
            self.memory.places = Arc::from([]);
            return Outcome {
                ttl: Some(ttl),
                ..Outcome::default()
            };
        }
        let (records, mut more) = srv::best(records);
        let mut servers = BTreeSet::new();
        for record in &records {
            if servers.len() < SERVERS {
                servers.insert(record.host.clone());
            } else {
                more |= !servers.contains(&record.host);
            }
        }
        let hosts = Rc::make_mut(&mut self.memory.hosts);
        hosts.retain(|host, _| servers.contains(host));
        let mut missed = None;
        for (host, found) in look_up(servers, resolver).await {
            match hosts.entry(host.clone()).or_default().learn(found) {
                Ok(good) => ttl = ttl.min(good),
                Err(miss) => missed = Some(Miss::Failed(format!("its server {host}: {miss}"))),
            }
        }
        let addresses = |host: &str| {
            let known = hosts.get(host).map(Host::all);
            known.into_iter().flatten().collect()
        };
        let places = srv::places(&records, addresses);
        let outcome = self.lead_to(places, ttl, missed);
        Outcome {
            more: outcome.more || more,
            ..outcome
        }
    }

    /// It leads there from now on, unless that is nowhere.
    fn lead_to(&mut self, mut places: Vec<Place>, ttl: Duration, miss: Option<Miss>) -> Outcome {
        places.retain(|place| !is_admin(place.address, self.admin));
        if places.is_empty() {
            let nobody =
                || Miss::Failed("it leads to no address that a target can have".to_owned());
            return Outcome::missed(miss.unwrap_or_else(nobody));
        }
        // A machine without IPv6 would try half of the targets of most names in vain. Where there is no way to any of them,
        // that is what has to be told.
        let ips: BTreeSet<_> = places.iter().map(|place| place.address.ip()).collect();
        let reached: BTreeSet<_> = ips.into_iter().filter(|ip| (self.has_route)(*ip)).collect();
        if !reached.is_empty() {
            places.retain(|place| reached.contains(&place.address.ip()));
        }
        let more = places.len() > PLACES;
        places.sort_by_key(|place| (place.tier, place.address));
        places.truncate(PLACES);
        self.memory.places = places.into();
        Outcome {
            ttl: Some(ttl),
            miss,
            more,
        }
    }
}

impl Outcome {
    fn missed(miss: Miss) -> Self {
        Self {
            miss: Some(miss),
            ..Self::default()
        }
    }
}

/// The addresses of many names, a few at a time.
async fn look_up(names: BTreeSet<String>, resolver: &Rc<Resolver>) -> Vec<(String, Addresses)> {
    let mut left = names.into_iter();
    let mut running = JoinSet::new();
    let mut found = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(name) = left.next()
        {
            let resolver = Rc::clone(resolver);
            running.spawn_local(async move {
                let addresses = resolver.addresses(&name).await;
                (name, addresses)
            });
        }
        match running.join_next().await {
            Some(Ok(one)) => found.push(one),
            Some(Err(_)) => {}
            None => break,
        }
    }
    // So that the same failures are told in the same words.
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[cfg(test)]
mod tests;
