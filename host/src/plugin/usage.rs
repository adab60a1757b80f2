//! What an instance uses just now: operations that have not come to their end, bytes that wait in a window.
//!
//! Whoever begins an operation or keeps bytes raises the level on the worker it happens on and lowers it when that is
//! over, on whatever thread that is. Levels of all workers are added up only when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So much more.
    pub fn raise(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// So much less.
    pub fn lower(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }

    /// Below zero in between, where another worker's level was lowered for this one; only sums mean something.
    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an instance uses on one worker.
#[derive(Debug, Default)]
pub struct Usage {
    /// Operations that were begun and have not come to their end.
    pub operations: Level,
    /// Bytes of bodies that it has not passed on.
    pub buffered: Level,
}

impl Usage {
    pub(super) const fn new() -> Self {
        Self {
            operations: Level::new(),
            buffered: Level::new(),
        }
    }
}

/// What instances use, on all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct UsageTotals {
    /// Operations that were begun and have not come to their end.
    pub pending_operations: u64,
    /// Bytes of bodies that they have not passed on.
    pub buffered_bytes: u64,
}

impl UsageTotals {
    /// Adds up what the workers say.
    pub(super) fn sum<'a>(usages: impl Iterator<Item = &'a Usage>) -> Self {
        let mut sum = (0_u64, 0_u64);
        for usage in usages {
            sum.0 = sum.0.wrapping_add(usage.operations.read());
            sum.1 = sum.1.wrapping_add(usage.buffered.read());
        }
        Self {
            pending_operations: settled(sum.0),
            buffered_bytes: settled(sum.1),
        }
    }

    /// Adds more to it.
    pub(super) fn add(&mut self, more: Self) {
        self.pending_operations = self
            .pending_operations
            .saturating_add(more.pending_operations);
        self.buffered_bytes = self.buffered_bytes.saturating_add(more.buffered_bytes);
    }
}

/// Workers are read one after the other, so that something that ends meanwhile may be seen ending and not beginning.
fn settled(sum: u64) -> u64 {
    if sum > u64::MAX / 2 { 0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::{Usage, UsageTotals};

    #[test]
    fn levels_of_workers_add_up_whoever_lowers_them() {
        let workers = [Usage::new(), Usage::new()];
        workers[0].operations.raise(3);
        workers[1].operations.lower(1);
        workers[1].buffered.raise(10);
        let sum = UsageTotals::sum(workers.iter());
        assert_eq!((sum.pending_operations, sum.buffered_bytes), (2, 10));
        workers[1].operations.lower(4);
        assert_eq!(UsageTotals::sum(workers.iter()).pending_operations, 0);
    }
}
