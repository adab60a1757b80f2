//! From SRV records to tiers and weights (RFC 2782).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Place;

/// How many records of a service count.
pub const RECORDS: usize = 256;
/// How many places are looked at. More than are used, for there may be no way to some of them.
const PLACES: usize = 1024;

/// What one record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Servers of a lower one come first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// Where the server listens.
    pub port: u16,
    /// The name of the server, in lower case, with its last dot.
    pub host: String,
}

impl Record {
    /// Whether there can be a server: a dot says that there is none, and nobody listens at port 0.
    #[must_use]
    pub fn leads_somewhere(&self) -> bool {
        self.port != 0 && !is_nowhere(self)
    }
}

/// Whether records say that the service is not available at all: a single one, to the name of the root.
#[must_use]
pub fn are_none(records: &[Record]) -> bool {
    matches!(records, [only] if is_nowhere(only))
}

fn is_nowhere(record: &Record) -> bool {
    record.host == "." || record.host.is_empty()
}

/// The records that lead somewhere, each once: the first ones first, whatever the order of the answer. An answer may hold
/// thousands, and each of them may lead to hundreds of addresses; so only the best [`RECORDS`] count. With whether there are
/// more.
#[must_use]
pub fn best(mut records: Vec<Record>) -> (Vec<Record>, bool) {
    records.retain(Record::leads_somewhere);
    records.sort_unstable_by(|one, other| {
        let order = |record: &Record| (record.priority, Reverse(record.weight), record.port);
        (order(one), &one.host).cmp(&(order(other), &other.host))
    });
    records.dedup();
    let too_many = records.len() > RECORDS;
    records.truncate(RECORDS);
    (records, too_many)
}

/// The places of a service with these [`best`] records, whose servers have these addresses. Priorities become tiers in their
/// order: of them it only counts which comes first. Where a server is named twice, the better tier has it.
#[must_use]
pub fn places(records: &[Record], addresses: impl Fn(&str) -> Vec<IpAddr>) -> Vec<Place> {
    let mut found: BTreeMap<SocketAddr, Place> = BTreeMap::new();
    let mut tiers: BTreeSet<u16> = BTreeSet::new();
    for record in records {
        tiers.insert(record.priority);
        let tier = u8::try_from(tiers.len() - 1).unwrap_or(u8::MAX);
        for ip in addresses(&record.host) {
            if found.len() >= PLACES {
                return found.into_values().collect();
            }
            let address = SocketAddr::new(ip, record.port);
            // The records are in their order, so the first one is the best.
            found.entry(address).or_insert(Place {
                address,
                tier,
                weight: record.weight.max(1).into(),
            });
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, port: u16, host: &str) -> Record {
        Record {
            priority,
            weight,
            port,
            host: host.to_owned(),
        }
    }

    fn ips(host: &str) -> Vec<IpAddr> {
        let last = match host {
            "a." => &[1, 2][..],
            "b." => &[3],
            _ => &[],
        };
        let ip = |last: &u8| IpAddr::from([10, 0, 0, *last]);
        last.iter().map(ip).collect()
    }

    #[test]
    fn priorities_become_tiers_and_order_does_not_matter() {
        let mut records = vec![
            record(20, 5, 8081, "b."),
            record(10, 0, 8080, "a."),
            record(65_535, 7, 0, "b."),
            record(1, 7, 80, "."),
            record(20, 9, 8081, "b."),
            record(30, 9, 8081, "b."),
            record(40, 9, 8082, "unknown."),
        ];
        let forth = places(&best(records.clone()).0, ips);
        records.reverse();
        assert_eq!(forth, places(&best(records).0, ips));
        let seen: Vec<_> = forth
            .iter()
            .map(|one| (one.address.to_string(), one.tier, one.weight))
            .collect();
        let expected = [
            ("10.0.0.1:8080", 0, 1),
            ("10.0.0.2:8080", 0, 1),
            ("10.0.0.3:8081", 1, 9),
        ];
        assert_eq!(
            seen,
            expected.map(|(at, tier, weight)| (at.to_owned(), tier, weight))
        );
    }

    #[test]
    fn a_single_record_to_the_root_says_that_there_is_nothing() {
        assert!(are_none(&[record(0, 0, 0, ".")]));
        assert!(!are_none(&[]));
        assert!(!are_none(&[record(0, 0, 80, "a.")]));
        assert!(best(vec![record(0, 0, 0, ".")]).0.is_empty());
    }

    #[test]
    fn what_a_large_answer_costs_is_bounded() {
        let record = |n: u16| record(n % 3, n % 7, n + 1, "a.");
        let records: Vec<_> = (0..2800).chain(0..2800).map(record).collect();
        let (kept, too_many) = best(records);
        assert!(too_many && kept.len() == RECORDS);
        assert!(
            kept.iter()
                .all(|one| (one.priority, one.weight) == (0, 6) || one.weight == 5)
        );
        let asked = std::cell::Cell::new(0);
        let all = |_: &str| {
            asked.set(asked.get() + 1);
            (0..514_u16)
                .map(|n| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
                .collect()
        };
        assert_eq!(places(&kept, all).len(), PLACES);
        assert!(asked.get() < 4, "{asked:?}");
        let (kept, too_many) = best((0..2800).map(|_| record(1)).collect());
        assert_eq!((kept.len(), too_many), (1, false));
    }
}
