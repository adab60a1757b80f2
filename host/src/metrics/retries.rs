//! Requests that were sent again, and those that were not although they had failed.

use super::names;
use super::page::Family;
use super::tally::{Label, Tally, labels};

labels! {
    /// Why a request was sent again.
    pub enum Reason {
        /// There was no connection, or one that took nothing.
        Connect "connect",
        /// There was no answer, or a malformed one.
        Reset "reset",
        /// There was none in time.
        Timeout "timeout",
        /// The status of the answer.
        Status "status",
    }
}

labels! {
    /// Why a request was not sent again although its service asks for that.
    pub enum Denied {
        /// It was, as often as it may be.
        Attempts "attempts",
        /// Too many others were.
        Budget "budget",
        /// Its body is larger than what is kept of one.
        Body "body",
        /// It may have been processed, and to do so twice is not the same as once.
        Method "method",
    }
}

/// Retries at one upstream.
#[derive(Debug)]
pub struct Retried {
    again: Tally<Reason, { Reason::COUNT }>,
    denied: Tally<Denied, { Denied::COUNT }>,
}

impl Retried {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            again: Tally::new(workers),
            denied: Tally::new(workers),
        }
    }

    /// Counts a request that is sent again.
    pub fn again(&self, reason: Reason) {
        self.again.count(reason);
    }

    /// Counts one that is not.
    pub fn denied(&self, why: Denied) {
        self.denied.count(why);
    }

    pub(super) fn families() -> (Family, Family) {
        (
            Family::of(&names::RETRIES),
            Family::of(&names::RETRIES_DENIED),
        )
    }

    /// Shows what there is.
    pub(super) fn show(&self, upstream: &str, (again, denied): (&mut Family, &mut Family)) {
        fn shown<L: Label, const N: usize>(tally: &Tally<L, N>, upstream: &str, to: &mut Family) {
            for (_, label, count) in tally.each().filter(|(.., count)| *count > 0) {
                to.count(&[upstream, label], count);
            }
        }
        shown(&self.again, upstream, again);
        shown(&self.denied, upstream, denied);
    }
}
