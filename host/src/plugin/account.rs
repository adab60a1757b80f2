//! What an instance does: calls, errors and time of its hooks, worker by worker and over all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use smallvec::SmallVec;

use crate::context::{PHASES, Phase};
use crate::plugin::usage::{Usage, UsageTotals};

/// An operation that is counted while it runs.
pub struct Counted {
    stats: Arc<[WorkerStats]>,
    worker: usize,
}

impl Counted {
    fn usage(&self) -> Option<&Usage> {
        self.stats.get(self.worker).map(WorkerStats::usage)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(usage) = self.usage() {
            usage.operations.lower(1);
        }
    }
}

/// What an instance did, on all workers.
#[derive(Debug, Clone)]
pub(super) struct InstanceAccount {
    phases: SmallVec<[Phase; 5]>,
    stats: Arc<[WorkerStats]>,
}

impl InstanceAccount {
    /// Of an instance with these hooks, for so many workers and the background.
    pub(super) fn new(phases: impl Iterator<Item = Phase>, workers: usize) -> Self {
        Self {
            phases: phases.collect(),
            stats: (0..=workers).map(|_| WorkerStats::default()).collect(),
        }
    }

    /// The account of one worker.
    pub(super) fn worker(&self, worker: usize) -> &WorkerStats {
        self.stats.get(worker).unwrap_or_else(|| self.background())
    }

    /// Counts an operation on a worker, until the result is dropped.
    pub(super) fn count_operation(&self, worker: usize) -> Counted {
        let counted = Counted {
            stats: Arc::clone(&self.stats),
            worker,
        };
        if let Some(usage) = counted.usage() {
            usage.operations.raise(1);
        }
        counted
    }

    /// The accounts of all workers, added up.
    pub(super) fn totals(&self) -> Vec<HookTotals> {
        self.phases
            .iter()
            .map(|phase| HookTotals::sum(*phase, &self.stats))
            .collect()
    }

    /// What it uses, on all workers.
    pub(super) fn usage(&self) -> UsageTotals {
        UsageTotals::sum(self.stats.iter().map(WorkerStats::usage))
    }

    /// The account of the background, which no worker writes to.
    pub(super) fn background(&self) -> &WorkerStats {
        static NOBODY: WorkerStats = WorkerStats::new();
        self.stats.last().unwrap_or(&NOBODY)
    }

    /// Whether the two are of one instance.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stats, &other.stats)
    }
}

/// What one worker counted for one instance. A cache line of its own (two, for processors that fetch pairs), so that
/// workers never slow one another down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerStats {
    hooks: [HookStats; PHASES.len()],
    usage: Usage,
}

impl WorkerStats {
    const fn new() -> Self {
        Self {
            hooks: [const { HookStats::new() }; PHASES.len()],
            usage: Usage::new(),
        }
    }

    /// What it uses on this worker.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The account of one hook.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> &HookStats {
        let [first, ..] = &self.hooks;
        self.hooks.get(phase.index()).unwrap_or(first)
    }
}

/// The account of one hook on one worker.
#[derive(Debug, Default)]
pub struct HookStats {
    calls: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    sampled_calls: AtomicU64,
    sampled_ns: AtomicU64,
}

impl HookStats {
    const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            sampled_calls: AtomicU64::new(0),
            sampled_ns: AtomicU64::new(0),
        }
    }

    /// Counts a call.
    pub fn count_call(&self) {
        add_one(&self.calls);
    }

    /// Counts a call that answered an error.
    pub fn count_error(&self) {
        add_one(&self.errors);
    }

    /// Counts a call that panicked.
    pub fn count_panic(&self) {
        add_one(&self.panics);
    }

    /// Counts how long a call took, of those whose time is taken.
    pub fn count_time(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add_one(&self.sampled_calls);
        add(&self.sampled_ns, ns);
    }
}

/// There is one writer, so a load and a store do without the locked instruction of a read-modify-write.
fn add_one(counter: &AtomicU64) {
    add(counter, 1);
}

fn add(counter: &AtomicU64, value: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(value),
        Ordering::Relaxed,
    );
}

/// The account of one hook, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HookTotals {
    /// Its name.
    pub hook: &'static str,
    /// How often it was called.
    pub calls: u64,
    /// How often it answered an error.
    pub errors: u64,
    /// How often it panicked.
    pub panics: u64,
    /// Of how many calls the time was taken.
    pub sampled_calls: u64,
    /// How long those took, in nanoseconds.
    pub sampled_ns: u64,
}

impl HookTotals {
    /// Adds accounts hook by hook.
    pub(super) fn add_all(sums: &mut Vec<Self>, more: &[Self]) {
        for one in more {
            match sums.iter_mut().find(|sum| sum.hook == one.hook) {
                None => sums.push(*one),
                Some(sum) => {
                    sum.calls = sum.calls.wrapping_add(one.calls);
                    sum.errors = sum.errors.wrapping_add(one.errors);
                    sum.panics = sum.panics.wrapping_add(one.panics);
                    sum.sampled_calls = sum.sampled_calls.wrapping_add(one.sampled_calls);
                    sum.sampled_ns = sum.sampled_ns.wrapping_add(one.sampled_ns);
                }
            }
        }
    }

    fn sum(phase: Phase, stats: &[WorkerStats]) -> Self {
        let add = |field: fn(&HookStats) -> &AtomicU64| {
            stats
                .iter()
                .map(|worker| field(worker.phase(phase)).load(Ordering::Relaxed))
                .fold(0_u64, u64::wrapping_add)
        };
        Self {
            hook: phase.name(),
            calls: add(|stats| &stats.calls),
            errors: add(|stats| &stats.errors),
            panics: add(|stats| &stats.panics),
            sampled_calls: add(|stats| &stats.sampled_calls),
            sampled_ns: add(|stats| &stats.sampled_ns),
        }
    }
}
