//! Attempts to get an answer from a target, and what they came to.

use crate::metrics::tally::{Tally, labels};

labels! {
    /// What an attempt to get an answer from a target came to.
    pub enum Attempt {
        /// The head of an answer came.
        Ok "ok",
        /// The target took no connection.
        ConnectError "connect_error",
        /// This system had no socket to give: nothing is known of the target.
        NoSocket "no_socket",
        /// It took one, and TLS came to nothing.
        TlsError "tls_error",
        /// It took none in time.
        ConnectTimeout "connect_timeout",
        /// No head of an answer came in time.
        Timeout "timeout",
        /// The connection ended before the answer.
        Closed "closed",
        /// A kept connection was dead, and another attempt followed.
        Stale "stale",
        /// What came is no answer that could be passed on.
        Malformed "malformed",
        /// The exchange ended before its answer came: the client left, or its body broke.
        Cancelled "cancelled",
    }
}

/// Attempts at one target of one upstream.
pub type Attempts = Tally<Attempt, { Attempt::COUNT }>;

/// An attempt that is running; dropping it before it came to anything counts it as cancelled.
#[derive(Debug)]
pub struct Attempting<'a>(Option<&'a Attempts>);

impl<'a> Attempting<'a> {
    /// One begins.
    #[must_use]
    pub fn new(attempts: Option<&'a Attempts>) -> Self {
        Self(attempts)
    }

    /// It goes on elsewhere, and is counted there.
    pub fn goes_on(mut self) {
        self.0 = None;
    }

    /// It came to this.
    pub fn came_to(mut self, outcome: Attempt) {
        if let Some(attempts) = self.0.take() {
            attempts.count(outcome);
        }
    }
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        if let Some(attempts) = self.0 {
            attempts.count(Attempt::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tally::Label as _;

    #[test]
    fn every_outcome_has_its_cell() {
        let attempts = Attempts::new(0);
        for (outcome, _) in Attempt::ALL {
            attempts.count(*outcome);
            assert_eq!(attempts.read(*outcome), 1);
        }
        drop(Attempting::new(Some(&attempts)));
        assert_eq!(attempts.read(Attempt::Cancelled), 2);
        Attempting::new(Some(&attempts)).came_to(Attempt::Ok);
        assert_eq!(
            (
                attempts.read(Attempt::Ok),
                attempts.read(Attempt::Cancelled)
            ),
            (2, 2)
        );
    }
}
