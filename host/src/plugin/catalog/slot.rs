//! One image in the catalog: its state, and the calls that change it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use crate::config::ready::UnloadPolicy;
use crate::fault::{images, label};
use crate::mark;
use crate::ops::background;
use crate::plugin::ffi::handover::Memory;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::fit::Fit;
use crate::plugin::foreign::{Foreign, NoResult};
use crate::plugin::image::{Image, ImageKey};
use crate::plugin::inspect::{Pin, Unload};
use crate::plugin::instance::{HookTotals, Instance, InstanceAccount, RetiredInstance};
use crate::plugin::library::{Loaded, Mapped, Mode};
use crate::plugin::mapped::{is_mapped, ranges};
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::usage::UsageTotals;

/// Where an image stands in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The file was read and says that it fits.
    Inspected,
    /// A child went through its life.
    Preflighted,
    /// It is mapped and entered.
    Loaded,
    /// It has an instance.
    Configured,
    /// The published snapshot names it.
    Active,
    /// Only older snapshots name it.
    Draining,
    /// Nobody uses it; `unload` is on its way.
    Retired,
    /// It is not mapped any more, which was checked.
    Unloaded,
    /// It serves nobody and stays mapped, for these reasons.
    Resident(Vec<Pin>),
    /// It was not taken.
    Refused(Refusal),
}

impl State {
    /// Its name in logs and in the admin API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inspected => "inspected",
            Self::Preflighted => "preflighted",
            Self::Loaded => "loaded",
            Self::Configured => "configured",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Unloaded => "unloaded",
            Self::Resident(_) => "resident",
            Self::Refused(_) => "refused",
        }
    }
}

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

    /// Runs `work`, which calls `hook` of this plugin, on the thread for foreign calls.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        foreign: &Foreign,
        hook: &'static str,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Reason> {
        let label = label::of(&self.shown().fit.identity());
        let returned = Arc::new(AtomicBool::new(false));
        let (shown, back) = (Arc::clone(&self.shown), Arc::clone(&returned));
        let work = move || {
            let result = {
                let _mark = mark::enter_control(label, hook);
                work()
            };
            // Under the lock, so that whoever gives up on the call sees it return or is seen here.
            let mut shown = lock(&shown);
            back.store(true, Ordering::Relaxed);
            if leaves_it_sound(hook)
                && let Some(at) = shown.stuck.iter().position(|stuck| *stuck == hook)
            {
                shown.stuck.remove(at);
            }
            drop(shown);
            result
        };
        let result = foreign.call(self.label(), hook, deadline, work).await;
        result.map_err(|error| match error {
            NoResult::Stuck(after) => {
                let mut shown = self.shown();
                if !(returned.load(Ordering::Relaxed) && leaves_it_sound(hook)) {
                    shown.stuck.push(hook);
                }
                drop(shown);
                Reason::Stuck {
                    hook: hook.to_owned(),
                    seconds: after.as_secs(),
                }
            }
            NoResult::NoThread => Reason::Io {
                action: format!("start a thread to call {hook}"),
                error: "the system gives none".to_owned(),
            },
        })
    }

    /// Maps the library unless it still is, enters it, and calls `load`.
    pub(super) async fn load(
        &self,
        life: &mut Life,
        foreign: &Foreign,
        deadline: Duration,
    ) -> Result<Arc<Loaded>, Reason> {
        let mapped = match life.mapped.clone() {
            Some(mapped) => mapped,
            None => {
                let (path, key, grounds) = (self.path(), self.key, self.grounds.clone());
                let identity = Arc::new(self.shown().fit.identity());
                // Set first: a constructor that hangs leaves the library mapped.
                self.mapped.store(true, Ordering::Release);
                let opened = self
                    .call(foreign, "a constructor", deadline, move || {
                        let mapped =
                            Mapped::open(&path, key.digest, &identity, key.door, &grounds)?;
                        images::mapped(&ranges(&path), label::of(&identity));
                        Ok(mapped)
                    })
                    .await?;
                if opened.is_err() {
                    self.mapped.store(false, Ordering::Release);
                }
                opened?
            }
        };
        life.mapped = Some(Arc::clone(&mapped));
        let loaded = self.enter(&mapped, foreign, deadline).await;
        if loaded.is_err() {
            mapped.metrics().end_life();
        }
        loaded
    }

    /// Enters a mapped library and calls `load`.
    async fn enter(
        &self,
        mapped: &Arc<Mapped>,
        foreign: &Foreign,
        deadline: Duration,
    ) -> Result<Arc<Loaded>, Reason> {
        let mapped = Arc::clone(mapped);
        let loaded = self
            .call(foreign, "sg_plugin_entry", deadline, move || {
                mapped.find_door(Mode::Serve)?.enter()
            })
            .await??;
        let flags = loaded.table().flags;
        self.only_one.store(flags.one_image_only, Ordering::Release);
        let call = Arc::clone(&loaded);
        self.call(foreign, "load", deadline, move || {
            call.table().load(call.mapped().host())
        })
        .await?
        .map_err(|error| error.reason("load", |text| Reason::LoadFailed { text }))?;
        Ok(loaded)
    }

    /// Ends an instance, then lets go of its image. Where a call of this plugin has not returned, `destroy` is not
    /// called and the instance leaks: that call may still be inside it.
    pub(super) async fn destroy(
        self: &Arc<Self>,
        instance: RetiredInstance,
        foreign: &Foreign,
        deadline: Duration,
    ) {
        // Before anything else: from here on nothing of it may be called but `destroy`.
        background::end(instance.token).await;
        self.keep_account(&instance);
        let Some(loaded) = instance.image.loaded().cloned() else {
            return;
        };
        let (raw, slot) = (instance.raw, Arc::clone(self));
        // A call that gets stuck keeps the library mapped by itself: it holds `loaded`.
        let ended = self
            .call(foreign, "destroy", deadline, move || {
                // Asked here and not before: another call may have got stuck while this one waited for its turn.
                let stuck = slot.stuck_in();
                if stuck.is_none() {
                    loaded.table().destroy(raw);
                }
                stuck
            })
            .await;
        let (plugin, config) = (self.label(), instance.config);
        match ended {
            Ok(None) => {}
            Ok(Some(hook)) => {
                tracing::warn!(plugin, %config, hook, "an instance is not destroyed, for a call has not returned");
            }
            Err(reason) => {
                tracing::error!(plugin, %config, %reason, "an instance could not be destroyed");
            }
        }
    }

    /// Ends an image that nobody uses: `unload`, then unmapping, where the file allows it.
    pub(super) async fn unload(
        &self,
        loaded: Arc<Loaded>,
        foreign: &Foreign,
        deadline: Duration,
        policy: UnloadPolicy,
    ) {
        drop(loaded);
        let mut life = self.life.lock().await;
        if life.image.strong_count() > 0 {
            // Back in use before the message was read.
            return;
        }
        let Some(loaded) = life.loaded.take() else {
            self.unmap(&mut life, foreign, deadline).await;
            return;
        };
        self.advance(State::Retired);
        self.finish(&mut life, loaded, foreign, deadline, policy)
            .await;
    }

    pub(super) async fn finish(
        &self,
        life: &mut Life,
        loaded: Arc<Loaded>,
        foreign: &Foreign,
        deadline: Duration,
        policy: UnloadPolicy,
    ) {
        let mut pins = self.pins(&loaded, policy);
        if let Some(hook) = self.stuck_in() {
            // An instance is still being destroyed, so `unload` may not be called.
            pins.push(Pin::Stuck(hook));
        } else {
            let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            let mapped = Arc::clone(loaded.mapped());
            let unloaded = self
                .call(foreign, "unload", deadline, move || {
                    loaded.table().unload(ms)
                })
                .await;
            match unloaded {
                Ok(Ok(())) => {}
                Ok(Err(error)) => pins.push(Pin::UnloadFailed(format!("{error:?}"))),
                Err(_) => pins.push(Pin::Stuck("unload".to_owned())),
            }
            mapped.metrics().end_life();
            self.shown().memory = None;
        }
        if pins.is_empty() {
            self.unmap(life, foreign, deadline).await;
        } else {
            self.advance(State::Resident(pins));
        }
    }

    /// Unmaps the library and looks whether it is gone. Only after `unload`, and only where nothing pins it.
    async fn unmap(&self, life: &mut Life, foreign: &Foreign, deadline: Duration) {
        if self.state() != State::Retired {
            return;
        }
        let Some(mapped) = life.mapped.take() else {
            return;
        };
        let path = mapped.path().to_owned();
        // Destructors of the plugin run in there.
        let closed = self
            .call(foreign, "a destructor", deadline, move || mapped.unmap())
            .await;
        match closed {
            Ok(Ok(_)) if !is_mapped(&path) => {
                images::unmapped(label::of(&self.shown().fit.identity()));
                self.mapped.store(false, Ordering::Release);
                self.advance(State::Unloaded);
            }
            Ok(Ok(_)) => self.advance(State::Resident(vec![Pin::StillMapped])),
            // A second message about the same image is still in the queue; it brings us here again.
            Ok(Err(mapped)) => life.mapped = Some(mapped),
            Err(_) => self.advance(State::Resident(vec![Pin::Stuck("a destructor".to_owned())])),
        }
    }

    fn pins(&self, loaded: &Loaded, policy: UnloadPolicy) -> Vec<Pin> {
        let mut pins = match &self.shown().fit.inspected.unload {
            Unload::Allowed => Vec::new(),
            Unload::Resident(pins) => pins.clone(),
        };
        let flags = loaded.table().flags;
        if flags.owns_threads {
            pins.push(Pin::OwnsThreads);
        }
        if flags.resident {
            pins.push(Pin::Asked);
        }
        if policy == UnloadPolicy::Never {
            pins.push(Pin::Setting);
        }
        pins
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

/// Whether an image may be called again once this call has returned too late. What maps, enters, loads or ends an image
/// may have done its work behind the back of whoever gave up on it, and would be done twice.
fn leaves_it_sound(hook: &str) -> bool {
    !matches!(
        hook,
        "a constructor" | "sg_plugin_entry" | "load" | "unload" | "a destructor"
    )
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
