//! A plugin with one configuration, ready to serve: what the hot path holds.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use smallvec::SmallVec;
use swapgate_abi::InstanceTok;

use crate::context::{PHASES, Phase};
use crate::fault::label::{self, Label};
use crate::plugin::ffi::Bound;
use crate::plugin::ffi::control::RawInstance;
use crate::plugin::ffi::host::ImageIdentity;
use crate::plugin::image::{Digest, Image, Retired};
use crate::plugin::usage::{Usage, UsageTotals};

/// A plugin with one configuration. Shared by all workers; its last holder hands it back to the catalog.
pub struct Instance {
    /// Always there until `drop` takes it. An instance holds its image, so the library outlives every call.
    image: Option<Arc<Image>>,
    identity: Arc<ImageIdentity>,
    label: &'static Label,
    raw: RawInstance,
    bound: Bound,
    priority: i32,
    config: ConfigHash,
    started: AtomicBool,
    inherited: OnceLock<Inherited>,
    token: InstanceTok,
    stats: Arc<[WorkerStats]>,
}

impl Instance {
    pub(super) fn new(
        image: Arc<Image>,
        (raw, bound): (RawInstance, Bound),
        priority: i32,
        config: ConfigHash,
        workers: usize,
    ) -> Self {
        Self {
            identity: Arc::clone(image.identity()),
            label: label::of(image.identity()),
            image: Some(image),
            raw,
            bound,
            priority,
            config,
            started: AtomicBool::new(false),
            inherited: OnceLock::new(),
            token: next_token(),
            // One more than there are workers, for the background.
            stats: (0..=workers).map(|_| WorkerStats::default()).collect(),
        }
    }

    /// Its request hooks, to be called through `plugin::ffi::request`.
    #[must_use]
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Id of the plugin.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// Who its image is.
    #[must_use]
    pub fn identity(&self) -> &Arc<ImageIdentity> {
        &self.identity
    }

    /// Names its file in marks, and knows its faults.
    #[must_use]
    pub fn label(&self) -> &'static Label {
        self.label
    }

    /// The place in every phase the plugin asks for; a use may override it.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// The configuration it was made of.
    #[must_use]
    pub fn config(&self) -> ConfigHash {
        self.config
    }

    /// The account of one worker. Only that worker writes to it.
    #[must_use]
    pub fn stats(&self, worker: usize) -> &WorkerStats {
        static NOBODY: WorkerStats = WorkerStats::new();
        self.stats
            .get(worker)
            .or_else(|| self.stats.last())
            .unwrap_or(&NOBODY)
    }

    /// Counts an operation on a worker, until the result is dropped. It does not hold the instance.
    #[must_use]
    pub fn count_operation(&self, worker: usize) -> Counted {
        let counted = Counted {
            stats: Arc::clone(&self.stats),
            worker,
        };
        if let Some(usage) = counted.usage() {
            usage.operations.raise(1);
        }
        counted
    }

    /// The accounts of all workers, which outlive the instance.
    pub(super) fn account(&self) -> InstanceAccount {
        let has = |phase: &Phase| self.bound.has(*phase);
        InstanceAccount {
            phases: PHASES.into_iter().filter(has).collect(),
            stats: Arc::clone(&self.stats),
        }
    }

    /// The accounts of all workers, added up.
    #[must_use]
    pub fn totals(&self) -> Vec<HookTotals> {
        PHASES
            .into_iter()
            .filter(|phase| self.bound.has(*phase))
            .map(|phase| HookTotals::sum(phase, &self.stats))
            .collect()
    }

    /// What it uses just now, on all workers. Background operations count with the worker after the last.
    #[must_use]
    pub fn usage(&self) -> UsageTotals {
        UsageTotals::sum(self.stats.iter().map(WorkerStats::usage))
    }

    /// Names it at the contract from `start` on.
    #[must_use]
    pub fn token(&self) -> InstanceTok {
        self.token
    }

    /// Its image.
    #[must_use]
    pub fn image(&self) -> Option<&Arc<Image>> {
        self.image.as_ref()
    }

    pub(super) fn raw_instance(&self) -> RawInstance {
        self.raw
    }

    /// Whether `start` was claimed.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// What became of the state of the instance whose place it takes; none if that had none to hand over.
    #[must_use]
    pub fn inherited(&self) -> Option<&Inherited> {
        self.inherited.get()
    }

    /// Notes what became of the state of the instance whose place it takes.
    pub fn inherit(&self, inherited: Inherited) {
        // Only the first counts: it takes the place of one instance.
        let _ = self.inherited.set(inherited);
    }

    /// Claims the one call of `start`; false if somebody had it already.
    pub(super) fn claim_start(&self) -> bool {
        !self.started.swap(true, Ordering::AcqRel)
    }
}

/// Counts up from 1 and stays below 2^48, where the tokens of exchanges begin.
fn next_token() -> InstanceTok {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(image) = self.image.take() else {
            return;
        };
        // This may be a worker thread: no foreign code runs here, the instance is only handed back.
        let queue = image.retired().clone();
        let _ = queue.send(Retired::Instance(RetiredInstance {
            image,
            raw: self.raw,
            config: self.config,
            token: self.token,
            account: self.account(),
        }));
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({}, {})", self.identity.id, self.config)
    }
}

/// What became of the state of the instance whose place another one takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inherited {
    /// It was taken over.
    Taken {
        /// The plugin that wrote it, as `id@version`.
        from: String,
        /// How large it was.
        bytes: u64,
    },
    /// It was not, and the instance began empty.
    Lost {
        /// Why.
        reason: String,
    },
}

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

/// An instance nobody uses any more.
#[derive(Debug)]
pub struct RetiredInstance {
    pub(super) image: Arc<Image>,
    pub(super) raw: RawInstance,
    pub(super) config: ConfigHash,
    pub(super) token: InstanceTok,
    pub(super) account: InstanceAccount,
}

/// What an instance did, on all workers.
#[derive(Debug, Clone)]
pub(super) struct InstanceAccount {
    phases: SmallVec<[Phase; 5]>,
    stats: Arc<[WorkerStats]>,
}

impl InstanceAccount {
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

/// SHA-256 of a plugin file's digest and a configuration: names an instance without showing a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigHash([u8; 32]);

impl ConfigHash {
    /// The hash of `config` for the plugin with `digest`. The digest stands in it so that equal configurations of two
    /// plugins do not look equal to somebody who can read the state folder.
    #[must_use]
    pub fn of(digest: Digest, config: &str) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        hasher.update(digest.0);
        hasher.update(config.as_bytes());
        Self(hasher.finalize().into())
    }

    /// A name for it that tells nothing outside of this process: without the salt, whoever can read it could try out
    /// which of some likely configurations it is.
    #[must_use]
    pub fn shown(self) -> String {
        use sha2::Digest as _;
        static SALT: OnceLock<[u8; 16]> = OnceLock::new();
        let salt = SALT.get_or_init(|| {
            let mut salt = [0; 16];
            // Without random numbers there is no salt, as there would be no worker either.
            let _ = getrandom::fill(&mut salt);
            salt
        });
        let mut hasher = sha2::Sha256::new();
        hasher.update(salt);
        hasher.update(self.0);
        let mut text = Self(hasher.finalize().into()).to_string();
        text.truncate(16);
        text
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigHash({self})")
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
