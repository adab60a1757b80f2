//! Upstreams: their targets, how one is chosen, and what becomes of one that fails.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::{Respond, UpstreamTls};
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

/// How it is known which targets can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Targets are asked.
    pub active: Option<ActiveHealth>,
    /// Targets are judged by their answers.
    pub passive: Option<PassiveHealth>,
}

/// How targets are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveHealth {
    /// With what.
    pub check: HealthCheck,
    /// From one check of a target to the next.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// By how many percent each interval is shortened or lengthened at random.
    pub jitter: u8,
    /// Good checks in a row after which a target is used again.
    pub healthy: u32,
    /// Bad checks in a row after which a target is used no more.
    pub unhealthy: u32,
}

/// With what a target is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// A GET.
    Http {
        /// Path and query.
        path: Box<str>,
        /// The `Host`; none: the target's address.
        host: Option<Box<str>>,
        /// Statuses that are good.
        statuses: Statuses,
    },
    /// A connect, with TLS where the upstream speaks it.
    Tcp,
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// The service that is asked about; empty: the whole server.
        service: Box<str>,
        /// The authority; none: the target's address.
        host: Option<Box<str>>,
    },
}

/// When a target is left alone because of its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassiveHealth {
    /// Failures in a row after which it is ejected.
    pub failures: u32,
    /// Statuses that count as failures.
    pub statuses: Statuses,
    /// For how long at first.
    pub eject: Duration,
    /// For how long at most.
    pub max_eject: Duration,
    /// How many percent of the targets may be ejected at a time; one always may.
    pub max_ejected: u8,
}

/// How many requests run at once in the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// How many.
    pub requests: usize,
    /// How many more may wait.
    pub queue: usize,
    /// How long they wait.
    pub wait: Duration,
}

/// When an upstream that fails is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamBreaker {
    /// Percent of the requests in the window that fail.
    pub failures: u8,
    /// With fewer requests in the window it never opens.
    pub requests: u32,
    /// How far back it looks.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// How many requests then try the upstream.
    pub trials: u32,
    /// Statuses that count as failures.
    pub statuses: Statuses,
    /// The answer while it is open; none: the gateway's own.
    pub fallback: Option<Respond>,
}

/// When a request is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// How often, at most.
    pub attempts: u32,
    /// After what.
    pub on: RetryOn,
    /// How many percent of the requests may be retries.
    pub budget: u32,
    /// The first pause at most.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Bytes of a request body that are kept for it.
    pub body_bytes: u64,
}

/// After what a request is sent again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// There was no connection.
    pub connect: bool,
    /// There was no answer, or a malformed one.
    pub reset: bool,
    /// There was none in time.
    pub timeout: bool,
    /// The answer has one of these statuses.
    pub statuses: Statuses,
}

/// Statuses of answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Box<[(u16, u16)]>);

impl Statuses {
    /// Each from the first to the second one.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        let status = status.as_u16();
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the process takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// Exchanges that run at once.
    pub requests: Option<usize>,
    /// Bytes of memory that are resident.
    pub memory: Option<u64>,
    /// After how long clients are asked to come again.
    pub retry_after: Duration,
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
