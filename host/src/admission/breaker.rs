//! Leaves an upstream alone for a while when too many of its requests fail, in the whole process.
//!
//! ```text
//! closed --too many failures--> open --its time is over--> half-open --all trials went well--> closed
//!                                 ^---------------------------one failed-'
//! ```
//!
//! While it is closed a request reads one number that is hardly ever written, and counts in numbers of its own worker.
//! Everything else goes through a lock, which is taken when a request fails and while the breaker is not closed. Nothing
//! happens by itself: an open breaker whose time is over becomes half-open with the next request. Trials that do not end
//! keep their places for as long as it would stay open, so that a few slow requests cannot keep everybody out.

mod change;
mod pass;
mod state;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::change::Change;
use self::pass::Kind;
pub use self::pass::Pass;
pub use self::state::STATES;
use self::state::{Inner, Settings, State};
use super::window::{Sums, Window};
use crate::config::ready::UpstreamBreaker;
use crate::health::clock::millis;

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    /// Whether everybody may pass: what the lock says, for those who do not take it.
    closed: AtomicBool,
    window: Window,
    inner: Mutex<Inner>,
    refused: AtomicU64,
    /// How often it came to each state, in the order of [`State`].
    came_to: [AtomicU64; 3],
}

/// What a breaker stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// `closed`, `half-open` or `open`.
    pub state: &'static str,
    /// The same as a number: 0, 1 or 2.
    pub number: u64,
    /// How much longer it stays open.
    pub left: Option<Duration>,
    /// What the window holds.
    pub sums: Sums,
    /// Requests that were not let through.
    pub refused: u64,
    /// How often it closed, half-opened and opened.
    pub came_to: [u64; 3],
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(name: Arc<str>, workers: usize, settings: &UpstreamBreaker) -> Self {
        Self {
            name,
            closed: AtomicBool::new(true),
            window: Window::new(workers, millis(settings.window)),
            inner: Mutex::new(Inner {
                state: State::Closed,
                settings: Settings::of(settings),
                round: 0,
            }),
            refused: AtomicU64::new(0),
            came_to: Default::default(),
        }
    }

    /// From now on it goes by this. It stays in its state, unless as many trials went well as are asked for now.
    pub fn set(&self, settings: &UpstreamBreaker) {
        let mut inner = self.lock();
        inner.settings = Settings::of(settings);
        self.window.set(millis(settings.window));
        // No trial may be left, nor let through, to say so.
        let change = self.closes(&mut inner);
        drop(inner);
        self.tell(change);
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// The upstream is left alone: how much longer.
    pub fn enter(&self, now_ms: u64) -> Result<Pass<'_>, Duration> {
        let era = self.window.era();
        if self.is_closed() {
            return Ok(self.pass(Kind::Counted(era)));
        }
        let mut inner = self.lock();
        let Err(left_ms) = inner.left(now_ms) else {
            let (kind, change) = self.admit(&mut inner, now_ms);
            drop(inner);
            self.tell(change);
            return Ok(self.pass(kind));
        };
        drop(inner);
        Err(self.refuse(left_ms))
    }

    /// Refuses a request that would not be let through now: how much longer the upstream is left alone.
    #[must_use]
    pub fn refuses(&self, now_ms: u64) -> Option<Duration> {
        if self.is_closed() {
            return None;
        }
        let left = self.lock().left(now_ms);
        left.err().map(|left_ms| self.refuse(left_ms))
    }

    /// Whether everybody may pass.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What it stands at.
    #[must_use]
    pub fn figures(&self, now_ms: u64) -> Figures {
        let state = self.lock().state;
        let left = match state {
            State::Open { until_ms } => {
                Some(Duration::from_millis(until_ms.saturating_sub(now_ms)))
            }
            State::Closed | State::HalfOpen { .. } => None,
        };
        let number = state.number();
        Figures {
            state: STATES.get(number).copied().unwrap_or_default(),
            number: number as u64,
            left,
            sums: self.window.sums(now_ms),
            refused: self.refused.load(Ordering::Relaxed),
            came_to: [0, 1, 2].map(|at: usize| {
                let count = self.came_to.get(at);
                count.map_or(0, |count| count.load(Ordering::Relaxed))
            }),
        }
    }

    fn pass(&self, kind: Kind) -> Pass<'_> {
        Pass {
            breaker: self,
            kind,
        }
    }

    fn refuse(&self, left_ms: u64) -> Duration {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(left_ms)
    }

    /// Lets a request through that may pass.
    fn admit(&self, inner: &mut Inner, now_ms: u64) -> (Kind, Option<Change>) {
        let mut change = None;
        if let State::Open { .. } = inner.state {
            inner.round += 1;
            change = Some(self.becomes(inner, State::half_open(now_ms), None));
        }
        let (round, trials) = (inner.round, inner.settings.trials);
        let State::HalfOpen {
            out,
            good,
            since_ms,
            wave,
        } = &mut inner.state
        else {
            // It closed while the lock was waited for.
            return (Kind::Counted(self.window.era()), change);
        };
        if out.saturating_add(*good) >= trials {
            // Those that are under way hold no place any more, for they may never end; what they come to still counts.
            *wave += 1;
            *out = 0;
        }
        *out += 1;
        *since_ms = now_ms;
        (Kind::Trial { round, wave: *wave }, change)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
