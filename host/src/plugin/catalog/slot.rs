//! One image in the catalog: what is known of it. `call` has the calls that go into it, `end` those that end it.

mod call;
mod end;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use super::state::State;
use crate::plugin::account::{HookTotals, InstanceAccount};
use crate::plugin::ffi::handover::Memory;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::fit::Fit;
use crate::plugin::image::{Image, ImageKey};
use crate::plugin::instance::{Instance, RetiredInstance};
use crate::plugin::library::{Loaded, Mapped};
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::usage::UsageTotals;

/// One image.
pub(super) struct Slot {
    pub(super) key: ImageKey,
    /// Shared with calls that may return when nobody waits for them any more.
    shown: Arc<Mutex<Shown>>,
    /// Whoever enters, loads or unloads holds it; nobody reads a report through it.
    pub(super) life: tokio::sync::Mutex<Life>,
    mapped: AtomicBool,
    only_one: AtomicBool,
    measured: AtomicU8,
    /// What its host table is made of.
    grounds: Grounds,
}

/// What reports show.
pub(super) struct Shown {
    pub(super) fit: Arc<Fit>,
    pub(super) state: State,
    pub(super) since: SystemTime,
    /// Hooks that have not returned in time, the first one first.
    pub(super) stuck: Vec<&'static str>,
    /// The accounts of instances that are gone.
    pub(super) past: Vec<HookTotals>,
    /// The accounts of instances that are not gone: alive, or on their way to `destroy`.
    pub(super) present: Vec<InstanceAccount>,
    /// How much memory it uses, as it last said; none if it does not count.
    pub(super) memory: Option<Memory>,
}

impl Shown {
    /// What its instances use just now.
    pub(super) fn usage(&self) -> UsageTotals {
        let mut sum = UsageTotals::default();
        for account in &self.present {
            sum.add(account.usage());
        }
        sum
    }

    /// What its hooks did, instances that are gone included. Never less than it was before.
    pub(super) fn totals(&self) -> Vec<HookTotals> {
        let mut sums = self.past.clone();
        for account in &self.present {
            HookTotals::add_all(&mut sums, &account.totals());
        }
        sums
    }
}

/// What of an image exists in this process.
#[derive(Default)]
pub(super) struct Life {
    /// The library, while it is mapped.
    pub(super) mapped: Option<Arc<Mapped>>,
    /// The functions, between `load` and `unload`.
    pub(super) loaded: Option<Arc<Loaded>>,
    /// The image, while anybody uses it.
    pub(super) image: Weak<Image>,
}

impl Slot {
    pub(super) fn new(fit: Arc<Fit>, grounds: &Grounds) -> Self {
        Self {
            key: fit.key(),
            shown: Arc::new(Mutex::new(Shown {
                fit,
                state: State::Inspected,
                since: SystemTime::now(),
                stuck: Vec::new(),
                past: Vec::new(),
                present: Vec::new(),
                memory: None,
            })),
            life: tokio::sync::Mutex::default(),
            mapped: AtomicBool::new(false),
            only_one: AtomicBool::new(false),
            measured: AtomicU8::new(FREE),
            grounds: grounds.clone(),
        }
    }

    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.shown)
    }

    pub(super) fn state(&self) -> State {
        self.shown().state.clone()
    }

    /// The same bytes may lie in the folder under another name now.
    pub(super) fn show_as(&self, fit: &Arc<Fit>) {
        let mut shown = self.shown();
        let path = shown.fit.staged.path.clone();
        let mut fit = Fit::clone(fit);
        // The copy stays where it is: the system's loader knows a mapped library by this path.
        fit.staged.path = path;
        shown.fit = Arc::new(fit);
    }

    pub(super) fn path(&self) -> PathBuf {
        self.shown().fit.staged.path.clone()
    }

    pub(super) fn label(&self) -> String {
        let identity = self.shown().fit.identity();
        format!("{}@{}", identity.id, identity.version)
    }

    pub(super) fn refuse(&self, step: Step, reason: Reason) -> Refusal {
        self.shown().fit.refuse(step, reason)
    }

    pub(super) fn is_mapped(&self) -> bool {
        self.mapped.load(Ordering::Acquire)
    }

    /// Remembers what a preflight found out: whether its image must be the only one of its kind.
    pub(super) fn expect_only_one(&self, only_one: bool) {
        self.only_one.store(only_one, Ordering::Release);
    }

    pub(super) fn is_only_one(&self) -> bool {
        self.only_one.load(Ordering::Acquire)
    }

    /// Whether nothing of it exists in this process.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_mapped() && self.life.try_lock().is_ok()
    }

    pub(super) fn stuck_in(&self) -> Option<String> {
        self.shown().stuck.first().map(|hook| (*hook).to_owned())
    }

    /// Claims the one measurement of this image at a time; none while another one is on its way, or once one was late.
    pub(super) fn claim_measurement(self: &Arc<Self>) -> Option<Measurement> {
        let claim = |from, to| {
            let measured = &self.measured;
            measured.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        };
        claim(FREE, MEASURING).ok()?;
        Some(Measurement(Arc::clone(self)))
    }

    /// Asks no more how much memory it uses: every late answer would keep all other control calls waiting.
    pub(super) fn measure_no_more(&self) {
        self.measured.store(LATE, Ordering::Release);
    }

    /// Refuses a call while another one of this plugin has not returned: the contract promises one at a time.
    pub(super) fn is_free(&self, deadline: Duration) -> Result<(), Reason> {
        match self.stuck_in() {
            None => Ok(()),
            Some(hook) => Err(Reason::Stuck {
                hook,
                seconds: deadline.as_secs(),
            }),
        }
    }

    /// Moves on in the image's life; a step that is behind where it stands changes nothing.
    pub(super) fn advance(&self, next: State) {
        let mut shown = self.shown();
        let moves = match (&shown.state, &next) {
            (State::Inspected | State::Refused(_), State::Preflighted)
            | (State::Loaded, State::Configured)
            | (State::Loaded | State::Configured | State::Draining, State::Active)
            | (State::Active, State::Draining) => true,
            (_, State::Preflighted | State::Configured | State::Active | State::Draining) => false,
            (now, next) => now != next,
        };
        if moves {
            let plugin = shown.fit.identity();
            tracing::debug!(plugin = %plugin.id, version = %plugin.version, from = shown.state.name(), to = next.name(), "image");
            shown.state = next;
            shown.since = SystemTime::now();
        }
    }

    pub(super) fn refused(&self, refusal: &Refusal) {
        let waits = matches!(
            self.state(),
            State::Inspected | State::Preflighted | State::Refused(_)
        );
        if waits {
            self.advance(State::Refused(refusal.clone()));
        }
    }

    /// Opens the account of an instance that was just made.
    pub(super) fn open_account(&self, instance: &Instance) {
        self.shown().present.push(instance.account());
    }

    /// Moves the account of an instance that nobody uses any more to what is past.
    fn keep_account(&self, instance: &RetiredInstance) {
        let mut shown = self.shown();
        shown.present.retain(|open| !open.is(&instance.account));
        HookTotals::add_all(&mut shown.past, &instance.account.totals());
    }
}

/// The one measurement of an image; it goes into the call and is over when that returns, however late.
pub(super) struct Measurement(Arc<Slot>);

impl Drop for Measurement {
    fn drop(&mut self) {
        // One that was late stays the last one.
        let measured = &self.0.measured;
        let _ = measured.compare_exchange(MEASURING, FREE, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Whether anybody asks how much memory an image uses.
const FREE: u8 = 0;
const MEASURING: u8 = 1;
const LATE: u8 = 2;

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
