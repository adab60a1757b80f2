//! What is known of one target of one upstream, in the whole process. It outlives reloads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::now_ms;
use super::outcome::{CheckResult, Fault, RESULTS};
use super::state::{LastCheck, Standing, State, Turn};
use super::upstream::UpstreamHealth;
use crate::config::ready::{ActiveHealth, Health, PassiveHealth};
use crate::endpoint::{Endpoint, NOWHERE};

/// What is known of one target of one upstream, in the whole process.
///
/// Workers read `in_rotation` for every choice and `failures` after every good answer; both are written only when something
/// goes wrong or gets well again.
#[derive(Debug)]
pub struct TargetHealth {
    in_rotation: AtomicBool,
    /// Requests in a row that failed.
    failures: AtomicU32,
    /// When it came into rotation, in milliseconds since the process began; 0: it was there from the beginning.
    since_ms: AtomicU64,
    ejections: AtomicU64,
    /// In the order of [`RESULTS`].
    checks: [AtomicU64; RESULTS.len()],
    upstream: Arc<UpstreamHealth>,
    target: Endpoint,
    state: Mutex<State>,
}

/// A target that nobody watches over, such as an address that a plugin chose.
impl Default for TargetHealth {
    fn default() -> Self {
        Self::new(Arc::default(), NOWHERE, 0)
    }
}

impl TargetHealth {
    /// A target that came into rotation then; 0: it was there from the beginning.
    pub(super) fn new(upstream: Arc<UpstreamHealth>, target: Endpoint, since_ms: u64) -> Self {
        Self {
            in_rotation: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            since_ms: AtomicU64::new(since_ms),
            ejections: AtomicU64::new(0),
            checks: Default::default(),
            upstream,
            target,
            state: Mutex::default(),
        }
    }

    /// Whether it gets requests.
    #[must_use]
    pub fn is_in_rotation(&self) -> bool {
        self.in_rotation.load(Ordering::Relaxed)
    }

    /// When it came into rotation, in milliseconds of [`now_ms`]; 0: it was there from the beginning.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    /// A request was answered well.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed, and it is the target's fault. Of so many `targets` the upstream has, it ejects some.
    pub fn failed(&self, settings: &PassiveHealth, targets: usize, fault: Fault) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let failures = before.saturating_add(1);
        let limit = most(targets, settings.max_ejected);
        if failures < settings.failures || self.upstream.is_full(limit) {
            return;
        }
        self.change(|state, now| {
            if state.is_ejected() || state.is_removed() || state.is_unjudged() {
                return Vec::new();
            }
            let Some(place) = self.upstream.place(limit) else {
                return Vec::new();
            };
            self.ejections.fetch_add(1, Ordering::Relaxed);
            let turn = state.eject(settings, place, (failures, fault), now);
            self.upstream.bell.notify_one();
            vec![turn]
        });
    }

    /// Other checks than before begin.
    pub fn begin_checks(&self) {
        self.change(|state, _| {
            state.begin_checks();
            Vec::new()
        });
    }

    /// A check came to its end.
    pub fn checked(
        &self,
        settings: &ActiveHealth,
        took: Duration,
        result: Result<(), (CheckResult, String)>,
    ) {
        let (kind, error) = match result {
            Ok(()) => (CheckResult::Ok, None),
            Err((kind, error)) => (kind, Some(error)),
        };
        if let Some(count) = self.checks.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.change(|state, now| {
            if state.is_removed() {
                return Vec::new();
            }
            let check = LastCheck {
                at_ms: now,
                took,
                error,
            };
            let (turns, forgiven) = state.checked(settings, check);
            if let Some(forgiven) = forgiven {
                self.failures.store(forgiven, Ordering::Relaxed);
            }
            turns
        });
    }

    /// Looks whether it returns from an ejection. Gives back when to look again, if it is still ejected.
    pub fn look(&self) -> Option<u64> {
        let mut again = None;
        self.change(|state, now| {
            let returned = state.returns(now);
            again = state.returns_at();
            returned.map_or_else(Vec::new, |(turn, forgiven)| {
                self.failures.store(forgiven, Ordering::Relaxed);
                vec![turn]
            })
        });
        again
    }

    /// It is in the configuration, with these settings: where they watch over it no more, nothing is left of what they found.
    pub fn configured(&self, health: &Health) {
        self.change(|state, _| {
            // A generation of before kept it until it came again; to those that serve it is new.
            let mut turns: Vec<Turn> = Vec::new();
            if state.come_again() {
                self.failures.store(0, Ordering::Relaxed);
            }
            if health.active.is_none() {
                turns.extend(state.forget_checks());
            }
            if health.passive.is_none() {
                turns.extend(state.forget_requests());
            } else if state.judge() {
                // Exchanges of an older generation may have counted on.
                self.failures.store(0, Ordering::Relaxed);
            }
            turns
        });
    }

    /// It left the configuration. Requests that run there end in their time.
    pub fn removed(&self) {
        self.change(|state, now| {
            state.remove(now);
            Vec::new()
        });
    }

    /// Whether it left the configuration.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.lock().is_removed()
    }

    /// Where it stands, and its last check.
    #[must_use]
    pub fn standing(&self) -> (Standing, Option<LastCheck>) {
        let state = self.lock();
        (state.standing(), state.last.clone())
    }

    /// How often it was ejected.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// How many checks came to what, by the name of that.
    pub(super) fn checks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = RESULTS.iter().map(|(_, name)| *name);
        let counts = self.checks.iter();
        names.zip(counts.map(|count| count.load(Ordering::Relaxed)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and says what came of it. The lock is held until it is said, so that the log has the order in
    /// which things happened.
    fn change(&self, change: impl FnOnce(&mut State, u64) -> Vec<Turn>) {
        let mut state = self.lock();
        let now = now_ms();
        let was_in = state.is_in();
        let turns = change(&mut state, now);
        let is_in = state.is_in();
        if was_in != is_in {
            if is_in {
                self.since_ms.store(now, Ordering::Relaxed);
            }
            self.in_rotation.store(is_in, Ordering::Relaxed);
        }
        for turn in turns {
            self.say(turn, is_in);
        }
    }

    fn say(&self, turn: Turn, is_in: bool) {
        let (upstream, target) = (&*self.upstream.name, &self.target);
        match turn {
            Turn::Out(reason) => {
                tracing::warn!(target: "health", upstream, %target, reason, "target {target} of upstream {upstream} is out of rotation: {reason}");
            }
            Turn::Back(why) if is_in => {
                tracing::info!(target: "health", upstream, %target, reason = why, "target {target} of upstream {upstream} is back in rotation: {why}");
            }
            Turn::Back(why) => {
                tracing::info!(target: "health", upstream, %target, reason = why, "target {target} of upstream {upstream} stays out of rotation, with one reason less: {why}");
            }
        }
    }
}

/// How many of so many targets may be ejected: a percentage, but one always.
fn most(targets: usize, percent: u8) -> usize {
    (targets.saturating_mul(usize::from(percent)) / 100).max(1)
}

#[cfg(test)]
mod tests;
