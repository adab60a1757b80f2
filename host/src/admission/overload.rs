//! What the whole process takes at once. Beyond that, whoever comes is told at once to come again, before anything is done
//! for them: what is turned away must cost next to nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::refusal::Reason;

/// Memory counts as short until it is this many percent below the limit, so that it does not change with every look.
const RELIEF: u64 = 5;

/// The state of the process.
#[derive(Debug, Default)]
pub struct Overload {
    /// Exchanges that run; counted only where there is a limit.
    running: AtomicU64,
    /// How much memory may be resident; 0 is no limit.
    memory: AtomicU64,
    short: AtomicBool,
    shed: [AtomicU64; 3],
}

impl Overload {
    /// Counts an exchange that begins, unless there are as many as may be.
    #[must_use]
    pub fn begin(&self, limit: usize) -> bool {
        let limit = limit as u64;
        let more = |running: u64| (running < limit).then_some(running + 1);
        self.running
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .is_ok()
    }

    /// One that was counted is over.
    pub fn end(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether memory is short.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// From now on so much memory may be resident.
    pub fn set_memory(&self, limit: Option<u64>) {
        self.memory.store(limit.unwrap_or(0), Ordering::Relaxed);
    }

    /// How much memory may be resident.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        Some(self.memory.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// Notes how much memory is resident. Says whether it is short now, where that changed.
    pub fn look(&self, resident: u64) -> Option<bool> {
        let was = self.is_short();
        let short = match self.memory() {
            None => false,
            Some(limit) if was => resident > limit - limit / 100 * RELIEF,
            Some(limit) => resident > limit,
        };
        self.short.store(short, Ordering::Relaxed);
        (short != was).then_some(short)
    }

    /// Counts somebody who was turned away.
    pub fn sheds(&self, reason: Reason) {
        if let Some(count) = self.shed.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were turned away for this reason.
    #[must_use]
    pub fn shed(&self, reason: Reason) -> u64 {
        let count = self.shed.get(reason as usize);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_exchanges_than_the_limit() {
        let overload = Overload::default();
        assert!(overload.begin(2) && overload.begin(2) && !overload.begin(2));
        overload.end();
        assert!(overload.begin(2) && !overload.begin(2) && overload.begin(3));
    }

    #[test]
    fn memory_is_short_until_there_is_some_to_spare() {
        let overload = Overload::default();
        assert_eq!(overload.look(1 << 40), None);
        overload.set_memory(Some(1000));
        assert_eq!(
            (overload.look(1000), overload.look(1001)),
            (None, Some(true))
        );
        assert_eq!((overload.look(999), overload.look(951)), (None, None));
        assert!(overload.is_short());
        assert_eq!(
            (overload.look(950), overload.look(1000)),
            (Some(false), None)
        );
        assert_eq!(overload.look(2000), Some(true));
        overload.set_memory(None);
        assert_eq!(overload.look(2000), Some(false));
    }

    #[test]
    fn each_reason_has_its_count() {
        let overload = Overload::default();
        for (count, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=count).for_each(|_| overload.sheds(reason));
            assert_eq!(overload.shed(reason), count as u64 + 1);
        }
    }
}
