//! TLS handshakes with clients, by listener.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cells;
use super::names;
use super::page::Family;
use super::tally::{Tally, labels};

labels! {
    /// Why there was no session in the end.
    pub enum Failure {
        /// The client took too long.
        Timeout "timeout",
        /// It left in the middle.
        Closed "closed",
        /// It refused: the certificate that it was shown, mostly.
        Refused "refused",
        /// It does not speak a version that is spoken here.
        Version "version",
        /// Nothing else fits: cipher suites, groups, signatures.
        Cipher "cipher",
        /// It speaks no protocol that is spoken here (ALPN).
        Protocol "protocol",
        /// It showed no certificate and has to.
        NoCertificate "no_certificate",
        /// It showed one that is not believed.
        Certificate "certificate",
        /// What it sent is no TLS, or broken.
        Malformed "malformed",
        /// A fault on this side.
        Internal "internal",
    }
}

/// Versions and whether a session was taken up again, with their values of the labels.
const SESSIONS: [(&str, &str); 4] = [
    ("TLSv1.2", "false"),
    ("TLSv1.2", "true"),
    ("TLSv1.3", "false"),
    ("TLSv1.3", "true"),
];

/// What the handshakes of one listener came to.
#[derive(Debug)]
pub struct Handshakes {
    sessions: Cells<[AtomicU64; SESSIONS.len()]>,
    failures: Tally<Failure, { Failure::COUNT }>,
}

impl Handshakes {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            sessions: Cells::new(workers),
            failures: Tally::new(workers),
        }
    }

    /// Counts one that was finished.
    pub fn done(&self, version: &str, resumed: bool) {
        let (sessions, writer) = self.sessions.mine();
        let resumed = if resumed { "true" } else { "false" };
        let place = SESSIONS.iter().position(|one| *one == (version, resumed));
        if let Some(cell) = place.and_then(|place| sessions.get(place)) {
            writer.add(cell, 1);
        }
    }

    /// Counts one that failed.
    pub fn failed(&self, why: Failure) {
        self.failures.count(why);
    }

    /// One begins; it is a [`Failure::Timeout`] unless it comes to something else.
    #[must_use]
    pub fn begin(&self) -> Shaking<'_> {
        Shaking(Some(self))
    }

    /// Adds the series of this listener.
    pub(super) fn show(&self, listener: &str, (done, failed): (&mut Family, &mut Family)) {
        for (place, (version, resumed)) in SESSIONS.into_iter().enumerate() {
            let cells = self.sessions.all().filter_map(|row| row.get(place));
            let count = cells.map(|cell| cell.load(Ordering::Relaxed)).sum();
            // The usual ones are there from the beginning, so that a rate has something to begin with.
            if count > 0 || version == "TLSv1.3" {
                done.count(&[listener, version, resumed], count);
            }
        }
        for (_, reason, count) in self.failures.each().filter(|(.., count)| *count > 0) {
            failed.count(&[listener, reason], count);
        }
    }

    /// The families the series belong to.
    pub(super) fn families() -> (Family, Family) {
        (
            Family::of(&names::HANDSHAKES),
            Family::of(&names::HANDSHAKE_FAILURES),
        )
    }
}

/// A handshake that is going on.
#[derive(Debug)]
pub struct Shaking<'a>(Option<&'a Handshakes>);

impl Shaking<'_> {
    /// It was finished.
    pub fn done(mut self, version: &str, resumed: bool) {
        if let Some(handshakes) = self.0.take() {
            handshakes.done(version, resumed);
        }
    }

    /// It failed.
    pub fn failed(mut self, why: Failure) {
        if let Some(handshakes) = self.0.take() {
            handshakes.failed(why);
        }
    }
}

impl Drop for Shaking<'_> {
    fn drop(&mut self) {
        if let Some(handshakes) = self.0 {
            handshakes.failed(Failure::Timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Page;

    #[test]
    fn what_was_counted_is_shown() {
        let handshakes = Handshakes::new(1);
        handshakes.begin().done("TLSv1.3", true);
        handshakes.begin().failed(Failure::NoCertificate);
        drop(handshakes.begin());
        let mut page = Page::default();
        let (mut done, mut failed) = Handshakes::families();
        handshakes.show("a", (&mut done, &mut failed));
        page.add(done);
        page.add(failed);
        let text = page.text().expect("it can be shown");
        for line in [
            "swapgate_tls_handshakes_total{listener=\"a\",version=\"TLSv1.3\",resumed=\"true\"} 1\n",
            "swapgate_tls_handshakes_total{listener=\"a\",version=\"TLSv1.3\",resumed=\"false\"} 0\n",
            "swapgate_tls_handshake_failures_total{listener=\"a\",reason=\"no_certificate\"} 1\n",
            "swapgate_tls_handshake_failures_total{listener=\"a\",reason=\"timeout\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("TLSv1.2"), "{text}");
    }
}
