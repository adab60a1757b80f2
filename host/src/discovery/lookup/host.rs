//! What is known of the addresses of one name, and what it learns from the next answer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::PLACES;
use crate::discovery::admit::is_usable;
use crate::discovery::resolver::{Addresses, Answer, Miss};

/// The addresses of one name, by family: where only one family can be looked up, the other one stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    pub(super) v4: BTreeSet<IpAddr>,
    pub(super) v6: BTreeSet<IpAddr>,
}

impl Host {
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.iter().chain(&self.v6).copied()
    }

    /// Takes over what was found, if it is anything: how long it is good, or why there is nothing.
    pub(super) fn learn(&mut self, found: Addresses) -> Result<Duration, Miss> {
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
