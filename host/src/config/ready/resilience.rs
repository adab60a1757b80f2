//! What becomes of targets that fail and of requests that they fail, and how much there may be at once.

use std::time::Duration;

use http::StatusCode;

use super::Respond;

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
