//! What a check came to, and what of a request is the target's fault.

use std::fmt;

use http::StatusCode;

use crate::config::ready::PassiveHealth;
use crate::metrics::traffic::Attempt;

/// What a check came to; what exactly was wrong is said in words beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// The target is well.
    Ok,
    /// It took no connection.
    ConnectError,
    /// It took one, and TLS came to nothing.
    TlsError,
    /// It took too long.
    Timeout,
    /// What it answered is none, or it ended the connection instead.
    Malformed,
    /// It says that it is not well.
    Unwell,
}

/// All results with their values of the label, in the order of their declaration.
pub(super) const RESULTS: [(CheckResult, &str); 6] = [
    (CheckResult::Ok, "ok"),
    (CheckResult::ConnectError, "connect_error"),
    (CheckResult::TlsError, "tls_error"),
    (CheckResult::Timeout, "timeout"),
    (CheckResult::Malformed, "malformed"),
    (CheckResult::Unwell, "unwell"),
];

/// What a target did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It was not there, in these words. Whoever connects to it finds out whether it is there again.
    Gone(&'static str),
    /// It was there, and of no use.
    Useless(&'static str),
    /// It answered this.
    Status(StatusCode),
}

impl Fault {
    /// What the target did wrong in an attempt; none: nothing. Clients that leave are no fault of its, nor is a kept
    /// connection that had died, nor that this system has no socket to give.
    #[must_use]
    pub fn of(attempt: Attempt) -> Option<Self> {
        match attempt {
            Attempt::ConnectError => Some(Self::Gone("it took no connection")),
            Attempt::TlsError => Some(Self::Gone("TLS with it came to nothing")),
            Attempt::ConnectTimeout => Some(Self::Gone("it took no connection in time")),
            Attempt::Closed => Some(Self::Gone("it closed the connection before its answer")),
            Attempt::Timeout => Some(Self::Useless("it did not answer in time")),
            Attempt::Malformed => Some(Self::Useless("its answer was malformed")),
            Attempt::Ok | Attempt::Stale | Attempt::NoSocket | Attempt::Cancelled => None,
        }
    }

    /// The same of an answer.
    #[must_use]
    pub fn of_status(settings: &PassiveHealth, status: StatusCode) -> Option<Self> {
        let counts = settings.statuses.contains(status);
        counts.then_some(Self::Status(status))
    }

    /// Whether it was not there.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Gone(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(words) | Self::Useless(words) => f.write_str(words),
            Self::Status(status) => write!(f, "it answered {}", status.as_u16()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_its_place() {
        for (index, (result, _)) in RESULTS.into_iter().enumerate() {
            assert_eq!(result as usize, index);
        }
    }
}
