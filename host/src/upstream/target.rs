//! What all workers know of a group of targets, as a snapshot holds it.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::balance::Ring;
use super::manner::Manner;
use crate::admission::{Fuse, Limit};
use crate::config::ready::{Balance, Health};
use crate::endpoint::Endpoint;
use crate::health::TargetHealth;
use crate::metrics::retries::Retried;
use crate::metrics::traffic::{Attempts, Connections};

/// A group of targets.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// How a target is chosen.
    pub balance: Balance,
    /// How its targets are spoken to.
    pub manner: Manner,
    /// Empty while names lead nowhere.
    pub targets: Vec<Target>,
    /// What a consistent hash finds them by.
    pub ring: Ring,
    /// How it is known which of them can be used.
    pub health: Health,
    /// How many requests it gets at once.
    pub limit: Option<Limit>,
    /// When it is left alone for a while because it fails.
    pub fuse: Option<Fuse>,
}

impl Upstream {
    /// A single address that a plugin chose, in HTTP/1.1 without TLS.
    #[must_use]
    pub fn alone(address: Endpoint, account: TargetAccount) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(""),
            balance: Balance::default(),
            manner: Manner::PLAIN,
            targets: vec![Target {
                address,
                name: None,
                weight: 1,
                priority: 0,
                account,
            }],
            ring: Ring::default(),
            health: Health::default(),
            limit: None,
            fuse: None,
        })
    }
}

/// One server.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Endpoint,
    /// The name that led there, if one did.
    pub name: Option<Arc<str>>,
    /// Its share, 1 to 1000.
    pub weight: u32,
    /// Its tier; those of 0 are used first.
    pub priority: u8,
    /// What is known of it and counted.
    pub account: TargetAccount,
}

/// What is known of a target, and counted.
#[derive(Debug, Clone)]
pub struct TargetAccount {
    /// Whether it can be used, for this upstream.
    pub health: Arc<TargetHealth>,
    /// Attempts to get an answer, for this upstream.
    pub attempts: Arc<Attempts>,
    /// Retries, at all targets of this upstream.
    pub retried: Arc<Retried>,
    /// Connections, whatever upstream they are for.
    pub connections: Arc<Connections>,
}

/// The same address in the same words: one of IPv4 may be written as one of IPv6.
pub(crate) fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// The addresses of targets that are spoken to in TLS.
#[must_use]
pub fn secured(upstreams: &[Arc<Upstream>]) -> HashSet<(IpAddr, u16)> {
    let upstreams = upstreams.iter().filter(|one| one.manner.tls.is_some());
    let targets = upstreams.flat_map(|upstream| &upstream.targets);
    targets
        .filter_map(|target| target.address.tcp())
        .map(plain)
        .collect()
}
