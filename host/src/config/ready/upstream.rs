//! Upstreams: their targets, how they are found and how one is chosen.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{Concurrency, Health, UpstreamBreaker, UpstreamTls};
use crate::endpoint::Endpoint;

/// A group of targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name; services refer to it.
    pub name: Arc<str>,
    /// How a target is chosen.
    pub balance: Balance,
    /// What its targets speak.
    pub protocol: UpstreamProtocol,
    /// How they are spoken to in TLS, if they are.
    pub tls: Option<UpstreamTls>,
    /// At least one, addresses unique.
    pub targets: Vec<Target>,
    /// How it is known which of them can be used.
    pub health: Health,
    /// How many requests it gets at once.
    pub concurrency: Option<Concurrency>,
    /// When it is left alone for a while because it fails.
    pub breaker: Option<UpstreamBreaker>,
}

/// How a target is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// What [`Algorithm::ConsistentHash`] goes by: the first one that a request has; empty for the others.
    pub hash: Vec<HashBy>,
    /// The cookie that keeps a client at its target.
    pub sticky: Option<Sticky>,
    /// How long it takes until a target that came, or came back, has its whole share.
    pub slow_start: Option<Duration>,
    /// With fewer percent of the targets in rotation all of them are used; 0: only where none is left.
    pub panic: u8,
}

/// By which algorithm a target is chosen. All go by weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequests,
    /// Of two drawn at random the one that answers sooner.
    P2cEwma,
    /// The same one for the same client, as far as that is there.
    ConsistentHash,
    /// At random.
    Random,
}

/// What a consistent hash goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    /// The consumer that a plugin recognised.
    Consumer,
    /// The client's address.
    Address,
    /// A header field.
    Header(HeaderName),
    /// A cookie.
    Cookie(Box<str>),
    /// A parameter of the path.
    Param(Box<str>),
}

/// The cookie that keeps a client at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Its name.
    pub cookie: Box<str>,
    /// How long clients keep it; none: as long as their session.
    pub max_age: Option<Duration>,
}

/// What targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN in TLS, by prior knowledge without.
    Http2,
    /// What ALPN came to.
    Auto,
}

/// One server, or the name of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub address: TargetAddress,
    /// Its share, 1 to 1000.
    pub weight: u32,
    /// Its tier; those of 0 are used first.
    pub priority: u8,
}

/// Where a target listens, as the file says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// There.
    Fixed(Endpoint),
    /// At every address of this name.
    Name {
        /// The name, in lower case.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
    /// Wherever the SRV records of this name say (RFC 2782).
    Service(Arc<str>),
}

impl TargetAddress {
    /// The address, where it needs no looking up.
    #[must_use]
    pub fn fixed(&self) -> Option<&Endpoint> {
        match self {
            Self::Fixed(endpoint) => Some(endpoint),
            Self::Name { .. } | Self::Service(_) => None,
        }
    }
}

/// What stands before the name of a service.
pub const SRV: &str = "srv:";

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(endpoint) => endpoint.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Service(name) => write!(f, "{SRV}{name}"),
        }
    }
}

/// How names of targets are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Whom to ask; empty: the servers of the system.
    pub servers: Vec<SocketAddr>,
    /// How long an answer is good at least.
    pub min_ttl: Duration,
    /// How long at most.
    pub max_ttl: Duration,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

/// A share of a route's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Its share.
    pub weight: u32,
}

/// An upstream that gets copies of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirror {
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Of how many percent of the requests.
    pub percent: u8,
    /// How many copies run at once on each worker.
    pub requests: usize,
    /// Bytes of a request body that are copied.
    pub body_bytes: u64,
}
