//! Requests that were sent again, and those that were not although they had failed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cells;
use super::names;
use super::page::Family;

/// Why a request was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There was no connection, or one that took nothing.
    Connect,
    /// There was no answer, or a malformed one.
    Reset,
    /// There was none in time.
    Timeout,
    /// The status of the answer.
    Status,
}

/// Why a request was not sent again although its service asks for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It was, as often as it may be.
    Attempts,
    /// Too many others were.
    Budget,
    /// Its body is larger than what is kept of one.
    Body,
    /// It may have been processed, and to do so twice is not the same as once.
    Method,
}

/// All reasons with their values of the label, in the order of their declaration.
const REASONS: [(Reason, &str); 4] = [
    (Reason::Connect, "connect"),
    (Reason::Reset, "reset"),
    (Reason::Timeout, "timeout"),
    (Reason::Status, "status"),
];

/// Likewise.
const DENIALS: [(Denied, &str); 4] = [
    (Denied::Attempts, "attempts"),
    (Denied::Budget, "budget"),
    (Denied::Body, "body"),
    (Denied::Method, "method"),
];

#[derive(Debug, Default)]
struct Numbers {
    again: [AtomicU64; REASONS.len()],
    denied: [AtomicU64; DENIALS.len()],
}

/// Retries at one upstream.
#[derive(Debug)]
pub struct Retried(Cells<Numbers>);

impl Retried {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Cells::new(workers))
    }

    /// Counts a request that is sent again.
    pub fn again(&self, reason: Reason) {
        let (cells, writer) = self.0.mine();
        if let Some(cell) = cells.again.get(reason as usize) {
            writer.add(cell, 1);
        }
    }

    /// Counts one that is not.
    pub fn denied(&self, why: Denied) {
        let (cells, writer) = self.0.mine();
        if let Some(cell) = cells.denied.get(why as usize) {
            writer.add(cell, 1);
        }
    }

    pub(super) fn families() -> (Family, Family) {
        (
            Family::of(&names::RETRIES),
            Family::of(&names::RETRIES_DENIED),
        )
    }

    /// Shows what there is.
    pub(super) fn show(&self, upstream: &str, (again, denied): (&mut Family, &mut Family)) {
        for (reason, name) in REASONS {
            let count = self.sum(|cells| cells.again.get(reason as usize));
            if count > 0 {
                again.count(&[upstream, name], count);
            }
        }
        for (why, name) in DENIALS {
            let count = self.sum(|cells| cells.denied.get(why as usize));
            if count > 0 {
                denied.count(&[upstream, name], count);
            }
        }
    }

    fn sum(&self, number: impl Fn(&Numbers) -> Option<&AtomicU64>) -> u64 {
        let all = self.0.all().filter_map(number);
        all.map(|cell| cell.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_cell() {
        let retried = Retried::new(0);
        for (index, (reason, _)) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            retried.again(reason);
            assert_eq!(retried.sum(|cells| cells.again.get(index)), 1);
        }
        for (index, (why, _)) in DENIALS.into_iter().enumerate() {
            assert_eq!(why as usize, index);
            retried.denied(why);
            assert_eq!(retried.sum(|cells| cells.denied.get(index)), 1);
        }
    }
}
