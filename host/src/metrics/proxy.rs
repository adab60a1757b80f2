//! Connections that were not served for the sake of a PROXY header, by listener.

use super::names;
use super::page::Family;
use super::tally::{Tally, labels};

labels! {
    /// Why a connection was not served.
    pub enum Failure {
        /// The header took too long.
        Timeout "timeout",
        /// The client left before it.
        Closed "closed",
        /// It came from an address that is not trusted.
        Untrusted "untrusted",
        /// There was none, and there has to be.
        Missing "missing",
        /// It could not be believed.
        Malformed "malformed",
    }
}

/// The connections of one listener that were not served.
#[derive(Debug)]
pub struct Failures(Tally<Failure, { Failure::COUNT }>);

impl Failures {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Tally::new(workers))
    }

    /// A header is waited for; that is a [`Failure::Timeout`] unless it comes to something else.
    #[must_use]
    pub fn begin(&self) -> Reading<'_> {
        Reading(Some(self))
    }

    /// Adds the series of this listener; all of them, for there are few, and the first of each is what one waits for.
    pub(super) fn show(&self, listener: &str, family: &mut Family) {
        for (_, reason, count) in self.0.each() {
            family.count(&[listener, reason], count);
        }
    }

    /// The family the series belong to.
    pub(super) fn family() -> Family {
        Family::of(&names::PROXY_FAILURES)
    }
}

/// A header that is waited for.
#[derive(Debug)]
pub struct Reading<'a>(Option<&'a Failures>);

impl Reading<'_> {
    /// It came, or there is none and need not be.
    pub fn done(mut self) {
        self.0 = None;
    }

    /// The connection is not served.
    pub fn failed(mut self, why: Failure) {
        if let Some(failures) = self.0.take() {
            failures.0.count(why);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(failures) = self.0 {
            failures.0.count(Failure::Timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Page;

    #[test]
    fn what_was_counted_is_shown() {
        let failures = Failures::new(1);
        failures.begin().done();
        failures.begin().failed(Failure::Untrusted);
        drop(failures.begin());
        let mut family = Failures::family();
        failures.show("a", &mut family);
        let mut page = Page::default();
        page.add(family);
        let text = page.text().expect("it can be shown");
        for (reason, count) in [("untrusted", 1), ("timeout", 1), ("missing", 0)] {
            let line = format!(
                "swapgate_proxy_header_failures_total{{listener=\"a\",reason=\"{reason}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
