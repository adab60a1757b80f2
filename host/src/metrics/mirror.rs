//! Copies of requests, by the upstream that gets them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cells;
use super::names;
use super::page::Family;

/// What a copy of a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirroring {
    /// It was sent and answered.
    Sent,
    /// There was none, for as many as may be were under way.
    DroppedLimit,
    /// There was none, for its body was too large, or never came whole.
    DroppedBody,
    /// It was not answered.
    Failed,
}

/// All of them with their values of the label, in the order of their declaration.
const OUTCOMES: [(Mirroring, &str); 4] = [
    (Mirroring::Sent, "sent"),
    (Mirroring::DroppedLimit, "dropped_limit"),
    (Mirroring::DroppedBody, "dropped_body"),
    (Mirroring::Failed, "failed"),
];

/// Copies that one upstream got, or did not.
#[derive(Debug)]
pub struct Mirrored(Cells<[AtomicU64; OUTCOMES.len()]>);

impl Mirrored {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Cells::new(workers))
    }

    /// Counts one.
    pub fn count(&self, outcome: Mirroring) {
        let (cells, writer) = self.0.mine();
        if let Some(cell) = cells.get(outcome as usize) {
            writer.add(cell, 1);
        }
    }

    /// How many came to this.
    #[must_use]
    pub fn read(&self, outcome: Mirroring) -> u64 {
        let cells = self.0.all().filter_map(|cells| cells.get(outcome as usize));
        cells.map(|cell| cell.load(Ordering::Relaxed)).sum()
    }

    /// Adds the series of this upstream; all of them, for there are few, and the first drop is what one waits for.
    pub(super) fn show(&self, upstream: &str, family: &mut Family) {
        for (outcome, name) in OUTCOMES {
            family.count(&[upstream, name], self.read(outcome));
        }
    }

    /// The family the series belong to.
    pub(super) fn family() -> Family {
        Family::of(&names::MIRRORED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::Page;

    #[test]
    fn every_outcome_has_its_cell_and_is_shown() {
        let mirrored = Mirrored::new(0);
        let shown = |mirrored: &Mirrored| {
            let mut family = Mirrored::family();
            mirrored.show("shadow", &mut family);
            let mut page = Page::default();
            page.add(family);
            page.text().expect("it can be shown")
        };
        assert!(shown(&mirrored).contains("{upstream=\"shadow\",outcome=\"sent\"} 0\n"));
        for (index, (outcome, _)) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            mirrored.count(outcome);
            assert_eq!(mirrored.read(outcome), 1);
        }
        let text = shown(&mirrored);
        for (_, name) in OUTCOMES {
            let line =
                format!("swapgate_mirrored_total{{upstream=\"shadow\",outcome=\"{name}\"}} 1\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
