//! From SRV records to tiers and weights (RFC 2782).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Place;

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

/// The places of a service, whose servers have these addresses. Priorities become tiers in their order: of them it only
/// counts which comes first. Where a server is named twice, the better tier has it.
#[must_use]
pub fn places(records: &[Record], addresses: impl Fn(&str) -> Vec<IpAddr>) -> Vec<Place> {
    let records: Vec<_> = records.iter().filter(|one| one.leads_somewhere()).collect();
    let priorities: BTreeSet<u16> = records.iter().map(|one| one.priority).collect();
    let tier = |record: &Record| {
        let before = priorities.range(..record.priority).count();
        u8::try_from(before).unwrap_or(u8::MAX)
    };
    let mut found: BTreeMap<SocketAddr, Place> = BTreeMap::new();
    for record in records {
        for ip in addresses(&record.host) {
            let place = Place {
                address: SocketAddr::new(ip, record.port),
                tier: tier(record),
                weight: record.weight.max(1).into(),
            };
            let best = found.entry(place.address).or_insert(place);
            if (place.tier, u32::MAX - place.weight) < (best.tier, u32::MAX - best.weight) {
                *best = place;
            }
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
        let forth = places(&records, ips);
        records.reverse();
        assert_eq!(forth, places(&records, ips));
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
        assert!(places(&[record(0, 0, 0, ".")], ips).is_empty());
    }
}
