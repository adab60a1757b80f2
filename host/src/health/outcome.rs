//! What a check came to, and what of a request is the target's fault.

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

/// What a target did wrong, in words; none: what became of the attempt says nothing against it. Clients that leave are no
/// fault of its, nor is a kept connection that had died.
#[must_use]
pub fn fault_of(attempt: Attempt) -> Option<&'static str> {
    match attempt {
        Attempt::ConnectError => Some("it took no connection"),
        Attempt::TlsError => Some("TLS with it came to nothing"),
        Attempt::ConnectTimeout => Some("it took no connection in time"),
        Attempt::Timeout => Some("it did not answer in time"),
        Attempt::Closed => Some("it closed the connection before its answer"),
        Attempt::Malformed => Some("its answer was malformed"),
        Attempt::Ok | Attempt::Stale | Attempt::Cancelled => None,
    }
}

/// The same of an answer.
#[must_use]
pub fn fault_of_status(settings: &PassiveHealth, status: StatusCode) -> Option<String> {
    let counts = settings.statuses.contains(status);
    counts.then(|| format!("it answered {}", status.as_u16()))
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
