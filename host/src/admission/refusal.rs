//! Why somebody is not let in.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why a request is not served now, though it could be served later.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// As many are under way as are admitted, and as many wait as may.
    #[error(
        "{whose} has as many requests under way as concurrency.requests admits, and no room for one that waits"
    )]
    Full {
        /// Whose limit it is.
        whose: Whose,
        /// How long one may wait there.
        wait: Duration,
    },
    /// The upstream is left alone for a while because it failed.
    #[error("the breaker of upstream {upstream} is not closed")]
    Open {
        /// Which upstream.
        upstream: Arc<str>,
        /// How much longer.
        left: Duration,
    },
    /// The process has more to do than it takes.
    #[error("the gateway is overloaded: {}", reason.told())]
    Shed {
        /// What there is too much of.
        reason: Reason,
        /// After how long to come again.
        retry_after: Duration,
    },
    /// It waited for as long as it may.
    #[error("{whose} had as many requests under way as concurrency.requests admits for {wait:?}")]
    Late {
        /// Whose limit it is.
        whose: Whose,
        /// How long one may wait there.
        wait: Duration,
    },
}

/// Whose limit it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Whose {
    /// Of the upstream with this name.
    #[error("upstream {0}")]
    Upstream(Arc<str>),
    /// Of the route with this name.
    #[error("route {0}")]
    Route(Arc<str>),
}

impl Refusal {
    /// Whether the connection ends with it, because connections are what there is too much of, or cost it.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Shed {
                reason: Reason::Memory | Reason::Connections,
                ..
            }
        )
    }

    /// After how long to come again, in whole seconds.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        match self {
            Self::Open { left, .. } => whole(*left),
            Self::Shed { retry_after, .. } => whole(*retry_after),
            Self::Full { wait, .. } | Self::Late { wait, .. } => whole(*wait),
        }
    }
}

/// What the process has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Exchanges that run.
    Requests,
    /// Memory that is resident.
    Memory,
    /// Connections that are open.
    Connections,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Memory, Self::Connections];

    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Memory => "memory",
            Self::Connections => "connections",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Requests => "overload.requests exchanges are running",
            Self::Memory => "more memory than overload.memory is resident",
            Self::Connections => "limits.connections connections are open",
        }
    }
}

/// Whole seconds, as `Retry-After` has them: rounded up, for whoever comes too early is refused again.
fn whole(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_come_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (5000, 5)] {
            assert_eq!(whole(Duration::from_millis(millis)), seconds);
        }
    }
}
