//! Sees hooks that do not return, by looking at the marks of the workers many times a second. It costs them nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::breaker::Fault;
use super::label::{self, Label};
use super::tell;
use crate::mark::{self, Seen};
use crate::panics::{Part, caught};

/// How often it looks, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How long a worker may take to die of a signal before the whole process is ended.
const GRACE: Duration = Duration::from_secs(2);

/// A hook that has not returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StuckHook {
    /// The plugin, as `id@version`.
    pub plugin: String,
    /// The hook.
    pub hook: &'static str,
    /// The route; empty where none was matched.
    pub route: &'static str,
    /// The worker, from 0.
    pub worker: usize,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

impl fmt::Display for StuckHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            hook,
            route,
            worker,
            for_ms,
        } = self;
        write!(f, "{hook} of {plugin} on worker {worker} for {for_ms} ms")?;
        if route.is_empty() {
            Ok(())
        } else {
            write!(f, ", route {route}")
        }
    }
}

/// A handle on the watchdog; it ends with the last one.
#[derive(Debug, Clone, Default)]
pub struct Watchdog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stuck: Mutex<Vec<StuckHook>>,
    /// In milliseconds.
    budget: AtomicU64,
    /// How long a worker may stand still, in milliseconds; 0: nobody asks.
    hung: AtomicU64,
    /// Whether a worker that stands still longer is ended, and the process with it.
    ends: AtomicBool,
    /// The worker that stands still longer, from 1.
    standing: AtomicUsize,
    over_budget: AtomicU64,
    began: AtomicBool,
}

/// A call, and whose it is.
#[derive(Clone, Copy)]
struct Call {
    seen: Seen,
    label: &'static Label,
}

/// What is known of one worker.
struct Known {
    call: Option<Call>,
    /// Since when it is in that call.
    since: Instant,
    told: bool,
    beats: u64,
    /// Since when it has not come round.
    still: Instant,
    /// When it was sent a signal to end.
    ended: Option<Instant>,
}

impl Watchdog {
    /// Begins to look. `end` ends the process on the thread that it is given, because that one stands still.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(&self, end: fn(i32)) -> std::io::Result<()> {
        if self.0.began.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let shared = Arc::downgrade(&self.0);
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                let mut known = HashMap::new();
                let mut last = Instant::now();
                while let Some(shared) = shared.upgrade() {
                    let pause = shared.pause();
                    let now = Instant::now();
                    // Whoever stopped this process stopped the workers as well, and that is not their fault.
                    if now.duration_since(last) > pause * 4 + GRACE {
                        known.clear();
                    }
                    last = now;
                    let looked = caught(Part::Control, || shared.look(&mut known, now, end));
                    if let Err(panicked) = looked {
                        panicked.say();
                    }
                    drop(shared);
                    std::thread::sleep(pause);
                }
            })?;
        Ok(())
    }

    /// Takes over changed settings. `ends` is for a supervised process only.
    pub fn set(&self, budget: Duration, hung: Duration, ends: bool) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        self.0.budget.store(ms(budget), Ordering::Relaxed);
        self.0.hung.store(ms(hung), Ordering::Relaxed);
        self.0.ends.store(ends, Ordering::Relaxed);
    }

    /// A worker that stands still for longer than it may, in a hook or anywhere else.
    #[must_use]
    pub fn standing_still(&self) -> Option<usize> {
        self.0.standing.load(Ordering::Relaxed).checked_sub(1)
    }

    /// The hooks that have not returned.
    #[must_use]
    pub fn stuck(&self) -> Vec<StuckHook> {
        self.0.stuck().clone()
    }

    /// How many calls took longer than they may.
    #[must_use]
    pub fn over_budget(&self) -> u64 {
        self.0.over_budget.load(Ordering::Relaxed)
    }
}

impl Call {
    fn of(seen: Seen) -> Option<Self> {
        let label = label::find(seen.label)?;
        Some(Self { seen, label })
    }
}

impl Shared {
    fn budget(&self) -> Duration {
        Duration::from_millis(self.budget.load(Ordering::Relaxed).max(1))
    }

    fn pause(&self) -> Duration {
        (self.budget() / 4).clamp(LOOK.0, LOOK.1)
    }

    fn stuck(&self) -> MutexGuard<'_, Vec<StuckHook>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, known: &mut HashMap<usize, Known>, now: Instant, end: fn(i32)) {
        let budget = self.budget();
        let mut stuck = Vec::new();
        let mut standing = 0;
        for worker in mark::workers() {
            let one = known.entry(worker.worker).or_insert_with(|| Known {
                call: None,
                since: now,
                told: false,
                beats: worker.beats,
                still: now,
                ended: None,
            });
            if worker.beats != one.beats {
                (one.beats, one.still) = (worker.beats, now);
            }
            let current = worker.call.and_then(Call::of);
            let call = |call: &Option<Call>| call.map(|call| (call.seen.call, call.label.index));
            if call(&one.call) != call(&current) {
                self.returned(one, worker.worker, now);
                (one.call, one.since, one.told) = (current, now, false);
            }
            let took = now.duration_since(one.since);
            if let Some(call) = one.call.filter(|_| took >= budget) {
                stuck.push(shown(call, worker.worker, took));
                if !one.told {
                    one.told = true;
                    say_stuck(call, worker.worker, took);
                }
            }
            if self.is_hung(one, now) {
                standing = worker.worker + 1;
            }
            if self.is_to_end(one, worker.worker, now) {
                end(worker.thread);
            }
        }
        self.standing.store(standing, Ordering::Relaxed);
        *self.stuck() = stuck;
    }

    /// A call is over; says how long it took if it was too long.
    fn returned(&self, known: &Known, worker: usize, now: Instant) {
        let Some(call) = known.call.filter(|_| known.told) else {
            return;
        };
        let took = now.duration_since(known.since);
        self.over_budget.fetch_add(1, Ordering::Relaxed);
        let (plugin, hook, route) = (call.label, call.seen.hook, call.seen.route);
        tracing::warn!(target: "watchdog", %plugin, hook, route, worker, took_ms = took.as_millis(), "{hook} of plugin {plugin} returned after about {took:.1?}");
        tell::turned(call.label, call.label.health.fault(Fault::OverBudget));
    }

    fn hung(&self) -> Duration {
        Duration::from_millis(self.hung.load(Ordering::Relaxed))
    }

    /// Whether a worker stands still for longer than it may.
    fn is_hung(&self, known: &Known, now: Instant) -> bool {
        let limit = self.hung();
        let in_hook = known.call.is_some() && now.duration_since(known.since) >= limit;
        !limit.is_zero() && (in_hook || now.duration_since(known.still) >= limit + GRACE)
    }

    /// Whether to end a supervised process now whose worker stands still: in a hook, or anywhere else.
    fn is_to_end(&self, known: &mut Known, worker: usize, now: Instant) -> bool {
        if !self.ends.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(at) = known.ended {
            if now.duration_since(at) > GRACE {
                // It blocks the signal, or the system cannot deliver it.
                std::process::abort();
            }
            return false;
        }
        let hung = self.is_hung(known, now);
        if hung {
            let limit = self.hung();
            tracing::error!(target: "watchdog", worker, "worker {worker} has been standing still for {limit:?}; ending this process, the supervisor starts another");
            known.ended = Some(now);
        }
        hung
    }
}

fn shown(call: Call, worker: usize, took: Duration) -> StuckHook {
    StuckHook {
        plugin: call.label.to_string(),
        hook: call.seen.hook,
        route: call.seen.route,
        worker,
        for_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn say_stuck(call: Call, worker: usize, took: Duration) {
    let plugin = call.label;
    let Seen { hook, route, .. } = call.seen;
    tracing::error!(target: "watchdog", %plugin, hook, route, worker, for_ms = took.as_millis(), "{hook} of plugin {plugin} has not returned; its worker serves nobody meanwhile");
}
