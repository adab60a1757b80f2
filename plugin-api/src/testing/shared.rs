//! What the functions of the table work on.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::ptr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use swapgate_abi::{ExchangeTok, ReleaseFn, ScopeTok};

use super::LogLine;
use super::area::Areas;
use super::course::{Call, Course};
use super::exchange::{Exchange, Phase};
use super::live::Live;
use super::metrics::Metrics;
use super::world::{Scope, World};
use crate::status::HostError;

/// How long a thread of the plugin may take to wake what waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the table's functions work on.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when a wake token was used.
    pub(super) rung: Condvar,
    /// The larger areas, made when the table is.
    pub(super) areas: Areas,
    /// Apart from the rest: any thread may count, and what an exchange holds belongs to one.
    pub(super) metrics: Metrics,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: Vec<LogLine>,
    /// The exchange whose hook is running, and on which thread.
    running: Option<(ExchangeTok, ThreadId)>,
    pub(super) slots: BTreeMap<ExchangeTok, Slot>,
    /// Exchanges for which something happened, so that they may be able to go on.
    pub(super) moved: BTreeSet<ExchangeTok>,
    pub(super) world: World,
    /// Which of the hooks there are that are told of operations: of exchanges, of the background, of time.
    pub(super) told: Told,
}

/// Which hooks there are that can be told of something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) on_event: bool,
    pub(super) on_op_done: bool,
    pub(super) on_tick: bool,
}

/// An exchange, and the state the plugin left in it.
pub(super) struct Slot {
    /// The instance it runs through.
    pub(super) made: *mut c_void,
    pub(super) live: Live,
    pub(super) course: Course,
    /// The hook that is running or was the last one to.
    pub(super) call: Option<Call>,
    pub(super) state: Left,
    /// States that were replaced; released with the last one.
    pub(super) replaced: Vec<Left>,
}

/// A state and its release function.
pub(super) struct Left {
    pub(super) state: *mut c_void,
    pub(super) release: Option<ReleaseFn>,
}

impl State {
    /// The exchange with that token, if it is the running one.
    pub(super) fn exchange(&mut self, token: ExchangeTok) -> Result<&mut Slot, HostError> {
        match self.running {
            Some((_, thread)) if thread != thread::current().id() => Err(HostError::WrongThread),
            Some((running, _)) if running == token => {
                self.slots.get_mut(&token).ok_or(HostError::Stale)
            }
            Some(_) | None => Err(HostError::Stale),
        }
    }

    /// Whose operation something would be that is begun now.
    pub(super) fn scope(&mut self, token: ScopeTok) -> Result<Scope, HostError> {
        let told = self.told;
        if self.world.instances.contains_key(&token) {
            let scope = Scope::Instance(token);
            return told
                .on_op_done
                .then_some(scope)
                .ok_or(HostError::WrongPhase);
        }
        let call = self.exchange(token)?.call.ok_or(HostError::Stale)?;
        if call.phase >= Phase::Log || !told.on_event {
            return Err(HostError::WrongPhase);
        }
        Ok(Scope::Exchange(token, call.lane))
    }

    /// Whether somebody may speak of this scope here.
    pub(super) fn check_scope(&mut self, token: ScopeTok) -> Result<(), HostError> {
        if self.world.instances.contains_key(&token) {
            return Ok(());
        }
        self.exchange(token).map(drop)
    }
}

impl Slot {
    pub(super) fn new(made: *mut c_void, exchange: Exchange, needs: [u32; 2]) -> Self {
        Self {
            made,
            course: Course::new(&exchange, needs),
            live: Live::new(exchange),
            call: None,
            state: Left::NOTHING,
            replaced: Vec::new(),
        }
    }
}

impl Left {
    const NOTHING: Self = Self {
        state: ptr::null_mut(),
        release: None,
    };

    /// Takes what is to be released, leaving nothing.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::NOTHING)
    }

    pub(super) fn release(self) {
        if let Some(release) = self.release {
            // SAFETY: the plugin left the two together; self is used up, so this happens once.
            unsafe { release(self.state) };
        }
    }
}

impl Shared {
    /// Whether a hook of an exchange is running on this thread.
    pub(super) fn in_hook(&self) -> bool {
        let running = self.lock().running;
        running.is_some_and(|(_, thread)| thread == thread::current().id())
    }

    /// A hook of this exchange begins on this thread, or the last one ends.
    pub(super) fn run(&self, exchange: Option<ExchangeTok>) {
        let here = thread::current().id();
        self.lock().running = exchange.map(|exchange| (exchange, here));
    }

    /// Waits until a token is used, from whatever thread. False: it takes too long.
    pub(super) fn wait_for_wake(&self) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.world.has_happened();
        let waited = self.rung.wait_timeout_while(state, PATIENCE, idle);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !waited.timed_out()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
