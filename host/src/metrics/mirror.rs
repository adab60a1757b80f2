//! Copies of requests, by the upstream that gets them.

use super::names;
use super::page::Family;
use super::tally::{Tally, labels};

labels! {
    /// What a copy of a request came to.
    pub enum Mirroring {
        /// It was sent and answered.
        Sent "sent",
        /// There was none, for as many as may be were under way.
        DroppedLimit "dropped_limit",
        /// There was none, for its body was too large, or never came whole.
        DroppedBody "dropped_body",
        /// There was none, for the breaker of its upstream was not closed.
        DroppedBreaker "dropped_breaker",
        /// It was not answered.
        Failed "failed",
    }
}

/// Copies that one upstream got, or did not.
pub type Mirrored = Tally<Mirroring, { Mirroring::COUNT }>;

/// The family the series belong to.
pub(super) fn family() -> Family {
    Family::of(&names::MIRRORED)
}

/// Adds the series of an upstream; all of them, for there are few, and the first drop is what one waits for.
pub(super) fn show(mirrored: &Mirrored, upstream: &str, family: &mut Family) {
    for (_, outcome, count) in mirrored.each() {
        family.count(&[upstream, outcome], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Page;

    #[test]
    fn every_outcome_is_shown_from_the_beginning() {
        let mirrored = Mirrored::new(0);
        mirrored.count(Mirroring::Failed);
        let mut family = family();
        show(&mirrored, "shadow", &mut family);
        let mut page = Page::default();
        page.add(family);
        let text = page.text().expect("it can be shown");
        for (outcome, count) in [("sent", 0), ("dropped_limit", 0), ("failed", 1)] {
            let series = "swapgate_mirrored_total{upstream=\"shadow\"";
            let line = format!("{series},outcome=\"{outcome}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
