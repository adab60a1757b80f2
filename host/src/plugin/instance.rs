//! A plugin with one configuration, ready to serve: what the hot path holds.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use swapgate_abi::InstanceTok;

use crate::context::PHASES;
use crate::fault::label::{self, ImageIdentity, Label};
use crate::plugin::account::{Counted, HookTotals, InstanceAccount, WorkerStats};
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::Bound;
use crate::plugin::ffi::control::RawInstance;
use crate::plugin::image::{Image, Retired};
use crate::plugin::usage::UsageTotals;

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
    account: InstanceAccount,
}

impl Instance {
    pub(super) fn new(
        image: Arc<Image>,
        (raw, bound): (RawInstance, Bound),
        priority: i32,
        config: ConfigHash,
        workers: usize,
    ) -> Self {
        let phases = PHASES.into_iter().filter(|phase| bound.has(*phase));
        let account = InstanceAccount::new(phases, workers);
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
            account,
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
        self.account.worker(worker)
    }

    /// Counts an operation on a worker, until the result is dropped. It does not hold the instance.
    #[must_use]
    pub fn count_operation(&self, worker: usize) -> Counted {
        self.account.count_operation(worker)
    }

    /// The accounts of all workers, which outlive the instance.
    pub(super) fn account(&self) -> InstanceAccount {
        self.account.clone()
    }

    /// The accounts of all workers, added up.
    #[must_use]
    pub fn totals(&self) -> Vec<HookTotals> {
        self.account.totals()
    }

    /// What it uses just now, on all workers. Background operations count with the worker after the last.
    #[must_use]
    pub fn usage(&self) -> UsageTotals {
        self.account.usage()
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

/// An instance nobody uses any more.
#[derive(Debug)]
pub struct RetiredInstance {
    pub(super) image: Arc<Image>,
    pub(super) raw: RawInstance,
    pub(super) config: ConfigHash,
    pub(super) token: InstanceTok,
    pub(super) account: InstanceAccount,
}
