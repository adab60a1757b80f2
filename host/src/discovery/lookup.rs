//! One look-up of a name or a service, and what stays known where it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Place;
use super::admit::{has_route, is_admin, is_usable};
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

/// The addresses of one name, by family: where only one family can be looked up, the other one stays.
#[derive(Debug, Clone, Default)]
struct Host {
    v4: BTreeSet<IpAddr>,
    v6: BTreeSet<IpAddr>,
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

impl Host {
    fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.iter().chain(&self.v6).copied()
    }

    /// Takes over what was found, if it is anything: how long it is good, or why there is nothing.
    fn learn(&mut self, found: Addresses) -> Result<Duration, Miss> {
        let usable = |answer: &Answer<BTreeSet<IpAddr>>| -> BTreeSet<IpAddr> {
            let ips = answer.records.iter().copied();
            ips.filter(|ip| is_usable(*ip)).take(PLACES + 1).collect()
        };
        let now =
            |found: &Result<Answer<BTreeSet<IpAddr>>, Miss>, before: &BTreeSet<IpAddr>| match found
            {
                Ok(answer) => usable(answer),
                Err(miss) if miss.is_negative() => BTreeSet::new(),
                Err(_) => before.clone(),
            };
        let Addresses { v4, v6 } = &found;
        let ttls = [v4, v6].into_iter().flatten().map(|answer| answer.ttl);
        let Some(ttl) = ttls.min() else {
            return Err(why(found));
        };
        let learnt = Self {
            v4: now(v4, &self.v4),
            v6: now(v6, &self.v6),
        };
        if learnt.all().next().is_none() {
            return Err(Miss::Failed(
                "it leads to no address that a target can have".to_owned(),
            ));
        }
        *self = learnt;
        Ok(ttl)
    }
}

/// Why a name has no address: that nobody knows says more than that there are none of one family.
fn why(found: Addresses) -> Miss {
    match (found.v4, found.v6) {
        (Err(miss @ Miss::Failed(_)), _) | (_, Err(miss @ Miss::Failed(_))) => miss,
        (Err(Miss::NoName), _) | (_, Err(Miss::NoName)) => Miss::NoName,
        _ => Miss::NoRecords,
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
mod tests {
    use super::*;

    const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8001);

    type Family = Result<Answer<BTreeSet<IpAddr>>, Miss>;

    fn ips(list: &[&str]) -> Family {
        Ok(Answer {
            records: list.iter().map(|ip| ip.parse().unwrap()).collect(),
            ttl: Duration::from_secs(7),
        })
    }

    fn failed() -> Family {
        Err(Miss::Failed("no answer".to_owned()))
    }

    fn lookup(port: u16) -> Lookup {
        let host = Arc::from("a");
        let name = TargetAddress::Name { host, port };
        Lookup {
            has_route: |ip| ip != IpAddr::from([10, 0, 0, 99]),
            ..Lookup::new(name, ADMIN, Memory::default())
        }
    }

    /// What a name leads to after these answers, and whether the last one was taken.
    #[track_caller]
    fn check(answers: Vec<(Family, Family)>, expected: &[&str], taken: bool) {
        let mut lookup = lookup(80);
        let mut last = Outcome::default();
        for (v4, v6) in answers {
            last = lookup.name("a", 80, Addresses { v4, v6 });
        }
        let seen = lookup
            .memory()
            .places
            .iter()
            .map(|place| place.address.ip().to_string());
        assert_eq!(seen.collect::<Vec<_>>(), expected);
        assert_eq!(last.ttl.is_some(), taken, "{last:?}");
    }

    #[test]
    fn what_was_known_last_stays_where_nothing_is_known() {
        let first = || (ips(&["10.0.0.2", "10.0.0.1"]), ips(&["fd00::1"]));
        let all = ["10.0.0.1", "10.0.0.2", "fd00::1"];
        check(vec![first()], &all, true);
        check(vec![first(), (failed(), failed())], &all, false);
        check(
            vec![first(), (Err(Miss::NoName), Err(Miss::NoName))],
            &all,
            false,
        );
        check(
            vec![first(), (ips(&["0.0.0.0"]), Err(Miss::NoRecords))],
            &all,
            false,
        );
        // A family that cannot be looked up stays, one that is gone goes.
        check(
            vec![first(), (ips(&["10.0.0.3"]), failed())],
            &["10.0.0.3", "fd00::1"],
            true,
        );
        check(
            vec![first(), (ips(&["10.0.0.3"]), Err(Miss::NoRecords))],
            &["10.0.0.3"],
            true,
        );
        check(
            vec![first(), (failed(), ips(&["fd00::2"]))],
            &["10.0.0.1", "10.0.0.2", "fd00::2"],
            true,
        );
    }

    #[test]
    fn addresses_without_a_way_to_them_are_not_used_unless_there_are_no_others() {
        let v6 = || Err(Miss::NoRecords);
        check(
            vec![(ips(&["10.0.0.99", "10.0.0.1"]), v6())],
            &["10.0.0.1"],
            true,
        );
        check(vec![(ips(&["10.0.0.99"]), v6())], &["10.0.0.99"], true);
    }

    #[test]
    fn no_name_leads_to_the_admin_listener_or_to_too_many() {
        let mut admin = lookup(8001);
        let v4 = ips(&["127.0.0.1"]);
        let outcome = admin.name("a", 8001, Addresses { v4, v6: failed() });
        assert_eq!((outcome.ttl, admin.memory().places.len()), (None, 0));

        let mut many = lookup(80);
        let crowd: Vec<_> = (0..1000_u32)
            .map(|n| IpAddr::from(0x0a00_0000_u128.wrapping_add(n.into()).to_be_bytes()))
            .collect();
        let records = crowd.into_iter().collect();
        let v6 = Ok(Answer {
            records,
            ttl: Duration::ZERO,
        });
        let outcome = many.name("a", 80, Addresses { v4: failed(), v6 });
        assert_eq!(many.memory().places.len(), PLACES);
        assert!(outcome.ttl.is_some() && outcome.more);
        assert_eq!(outcome.miss, None, "what is too much is no failure");
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_looked_up_keeps_its_places_after_a_hand_over() {
        let service = TargetAddress::Service("_http._tcp.a.test".into());
        let first = Rc::new(BTreeMap::from([(
            "s.test.".to_owned(),
            Host {
                v4: BTreeSet::from([IpAddr::from([10, 0, 0, 7])]),
                v6: BTreeSet::new(),
            },
        )]));
        let memory = Memory {
            hosts: first,
            places: Arc::from([]),
        };
        let mut lookup = Lookup {
            has_route: |_| true,
            ..Lookup::new(service, ADMIN, memory)
        };
        // Nobody answers there.
        let resolver = Rc::new(Resolver::new(crate::config::ready::Dns {
            servers: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(1),
            timeout: Duration::from_millis(200),
        }));
        let records = vec![Record {
            priority: 1,
            weight: 1,
            port: 80,
            host: "s.test.".to_owned(),
        }];
        let ttl = Duration::from_secs(5);
        let local = tokio::task::LocalSet::new();
        let asked = lookup.service(Answer { records, ttl }, &resolver);
        let outcome = local.run_until(asked).await;
        assert!(outcome.miss.is_some());
        assert_eq!(lookup.memory().places.len(), 1, "{outcome:?}");
    }
}
