//! SRV records of an answer, from whatever a server of names sends to places with tiers and weights.

use std::collections::BTreeSet;
use std::net::IpAddr;

use swapgate::discovery::srv::{self, RECORDS, Record};

use crate::input::Input;

/// Records: priority, weight, port, and a byte for the host.
pub fn srv(data: &[u8]) {
    let mut input = Input::new(data);
    let mut records = Vec::new();
    while !input.is_empty() {
        let (priority, weight, port) = (input.short(), input.short(), input.short());
        let host = match input.byte() {
            0 => ".".to_owned(),
            1 => String::new(),
            number => format!("{}.", number & 15),
        };
        records.push(Record {
            priority,
            weight,
            port,
            host,
        });
    }
    let (kept, more) = srv::best(records.clone());
    assert!(kept.len() <= RECORDS && (!more || kept.len() == RECORDS));
    assert!(
        kept.iter()
            .all(|record| record.leads_somewhere() && records.contains(record))
    );
    assert!(!srv::are_none(&records) || kept.is_empty());
    let (forth, back) = (places(&kept), {
        records.reverse();
        places(&srv::best(records).0)
    });
    assert_eq!(forth, back, "the order of an answer means nothing");
    assert!(forth.len() <= 1024);
    let distinct: BTreeSet<_> = forth.iter().map(|place| place.0).collect();
    assert_eq!(distinct.len(), forth.len(), "a place twice");
    assert!(forth.iter().all(|(_, _, weight)| *weight > 0));
    let tiers: BTreeSet<u8> = forth.iter().map(|place| place.1).collect();
    let priorities: BTreeSet<u16> = kept.iter().map(|record| record.priority).collect();
    assert!(tiers.len() <= priorities.len());
}

fn places(records: &[Record]) -> Vec<(std::net::SocketAddr, u8, u32)> {
    let addresses = |host: &str| {
        let last: u8 = host.trim_end_matches('.').parse().unwrap_or(0);
        (0..last % 4)
            .map(|n| IpAddr::from([10, 0, n, last]))
            .collect()
    };
    let found = srv::places(records, addresses);
    found
        .into_iter()
        .map(|place| (place.address, place.tier, place.weight))
        .collect()
}
