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

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

#[derive(Debug)]
struct Inner {
    state: State,
    settings: Settings,
    /// Counts half-open states, so that a trial of an earlier one says nothing.
    round: u64,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    HalfOpen {
        /// Trials that are under way and hold a place.
        out: u32,
        /// Those that went well.
        good: u32,
        /// When the last one was let through.
        since_ms: u64,
        /// Counts how often places were taken back from trials that did not end.
        wave: u64,
    },
    Open {
        until_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    failures: u64,
    requests: u64,
    window: Duration,
    open: Duration,
    trials: u32,
}

/// A change of its state, which is told once the lock is free: a log may take its time.
#[derive(Debug, Clone, Copy)]
#[must_use]
struct Change {
    to: State,
    settings: Settings,
    /// What the window held, where that is why.
    sums: Option<Sums>,
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

/// The names of the states, in their order.
pub const STATES: [&str; 3] = ["closed", "half-open", "open"];

/// A request that was let through. Dropped without a word it says nothing of the upstream: a trial is given back.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It counts in this era.
    Counted(u64),
    /// It is a trial of this round, and holds a place in this wave of it.
    Trial { round: u64, wave: u64 },
    /// It has said what it came to.
    Told,
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

    /// A request failed while the breaker was closed.
    fn failed(&self, era: u64, now_ms: u64) {
        self.window.count(era, true, now_ms);
        let mut inner = self.lock();
        if inner.state != State::Closed || era != self.window.era() {
            return;
        }
        let sums = self.window.sums(now_ms);
        let settings = inner.settings;
        let enough = sums.requests >= settings.requests;
        if enough && sums.failures * 100 >= settings.failures * sums.requests {
            let change = self.opens(&mut inner, now_ms, Some(sums));
            drop(inner);
            self.tell(Some(change));
        }
    }

    /// What a trial came to; none: nothing.
    fn tried(&self, (round, wave): (u64, u64), went_well: Option<bool>, now_ms: u64) {
        let mut inner = self.lock();
        if inner.round != round {
            return;
        }
        let State::HalfOpen {
            out,
            good,
            wave: present,
            ..
        } = &mut inner.state
        else {
            return;
        };
        if wave == *present {
            *out = out.saturating_sub(1);
        }
        let change = match went_well {
            None => None,
            Some(false) => Some(self.opens(&mut inner, now_ms, None)),
            Some(true) => {
                *good = good.saturating_add(1);
                self.closes(&mut inner)
            }
        };
        drop(inner);
        self.tell(change);
    }

    fn opens(&self, inner: &mut Inner, now_ms: u64, sums: Option<Sums>) -> Change {
        let until_ms = now_ms.saturating_add(millis(inner.settings.open));
        self.becomes(inner, State::Open { until_ms }, sums)
    }

    /// Closes it, if as many trials went well as must.
    fn closes(&self, inner: &mut Inner) -> Option<Change> {
        match inner.state {
            State::HalfOpen { good, .. } if good >= inner.settings.trials => {
                self.window.clear();
                Some(self.becomes(inner, State::Closed, None))
            }
            _ => None,
        }
    }

    /// Changes its state.
    fn becomes(&self, inner: &mut Inner, state: State, sums: Option<Sums>) -> Change {
        inner.state = state;
        self.closed.store(state == State::Closed, Ordering::Release);
        if let Some(count) = self.came_to.get(state.number()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Change {
            to: state,
            settings: inner.settings,
            sums,
        }
    }

    /// Says what became of it, if anything did.
    fn tell(&self, change: Option<Change>) {
        let Some(Change { to, settings, sums }) = change else {
            return;
        };
        let (open, window, trials) = (settings.open, settings.window, settings.trials);
        let upstream = &*self.name;
        match (to, sums) {
            (State::Open { .. }, Some(Sums { requests, failures })) => {
                tracing::warn!(target: "upstream", upstream, breaker = "open", "breaker of upstream {upstream} is open: {failures} of {requests} requests within {window:?} failed; it is left alone for {open:?}");
            }
            (State::Open { .. }, None) => {
                tracing::warn!(target: "upstream", upstream, breaker = "open", "breaker of upstream {upstream} is open again: a trial failed; it is left alone for {open:?}");
            }
            (State::HalfOpen { .. }, _) => {
                tracing::info!(target: "upstream", upstream, breaker = "half-open", "breaker of upstream {upstream} is half-open: {trials} requests try it");
            }
            (State::Closed, _) => {
                tracing::info!(target: "upstream", upstream, breaker = "closed", "breaker of upstream {upstream} is closed: all trials went well");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The upstream did what it was asked to, or failed.
    pub fn came_to(mut self, went_well: bool, now_ms: u64) {
        match std::mem::replace(&mut self.kind, Kind::Told) {
            Kind::Counted(era) if went_well => self.breaker.window.count(era, false, now_ms),
            Kind::Counted(era) => self.breaker.failed(era, now_ms),
            Kind::Trial { round, wave } => {
                self.breaker.tried((round, wave), Some(went_well), now_ms);
            }
            Kind::Told => {}
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Kind::Trial { round, wave } = self.kind {
            self.breaker.tried((round, wave), None, 0);
        }
    }
}

impl Inner {
    /// Whether a request may pass.
    ///
    /// # Errors
    /// How much longer none may, in milliseconds; 0: nobody knows, for trials are under way.
    fn left(&self, now_ms: u64) -> Result<(), u64> {
        match self.state {
            State::Open { until_ms } if now_ms < until_ms => Err(until_ms - now_ms),
            State::HalfOpen {
                out,
                good,
                since_ms,
                ..
            } if out.saturating_add(good) >= self.settings.trials
                && now_ms.saturating_sub(since_ms) < millis(self.settings.open) =>
            {
                Err(0)
            }
            State::Open { .. } | State::HalfOpen { .. } | State::Closed => Ok(()),
        }
    }
}

impl State {
    fn half_open(now_ms: u64) -> Self {
        Self::HalfOpen {
            out: 0,
            good: 0,
            since_ms: now_ms,
            wave: 0,
        }
    }

    fn number(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::HalfOpen { .. } => 1,
            Self::Open { .. } => 2,
        }
    }
}

impl Settings {
    fn of(settings: &UpstreamBreaker) -> Self {
        Self {
            failures: u64::from(settings.failures),
            requests: u64::from(settings.requests),
            window: settings.window,
            open: settings.open,
            trials: settings.trials.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ready::Statuses;

    fn settings(trials: u32) -> UpstreamBreaker {
        UpstreamBreaker {
            failures: 50,
            requests: 4,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
            trials,
            statuses: Statuses::default(),
            fallback: None,
        }
    }

    fn breaker(trials: u32) -> Breaker {
        Breaker::new(Arc::from("users"), 1, &settings(trials))
    }

    #[track_caller]
    fn run(breaker: &Breaker, outcomes: &[bool], now: u64) {
        for outcome in outcomes {
            breaker.enter(now).unwrap().came_to(*outcome, now);
        }
    }

    #[track_caller]
    fn check(breaker: &Breaker, state: &str, came_to: [u64; 3]) {
        let figures = breaker.figures(0);
        assert_eq!((figures.state, figures.came_to), (state, came_to));
    }

    #[test]
    fn it_opens_with_enough_failures_and_not_before() {
        let breaker = breaker(2);
        run(&breaker, &[false, false, true], 0);
        check(&breaker, "closed", [0; 3]);
        run(&breaker, &[true, true, true], 1000);
        run(&breaker, &[false], 1500);
        check(&breaker, "closed", [0; 3]);
        run(&breaker, &[false], 1500);
        check(&breaker, "open", [0, 0, 1]);
        assert_eq!(breaker.enter(1500).unwrap_err(), Duration::from_secs(5));
        assert_eq!(breaker.enter(6499).unwrap_err(), Duration::from_millis(1));
        assert_eq!(
            breaker.figures(2000).left,
            Some(Duration::from_millis(4500))
        );
        assert_eq!(breaker.figures(2000).refused, 2);
    }

    #[test]
    fn old_failures_do_not_open_it() {
        let breaker = breaker(2);
        run(&breaker, &[false, false, false], 0);
        run(&breaker, &[false], 10_000);
        check(&breaker, "closed", [0; 3]);
        run(&breaker, &[false, false, false], 10_000);
        check(&breaker, "open", [0, 0, 1]);
    }

    #[test]
    fn trials_are_counted_and_all_must_go_well() {
        let breaker = breaker(2);
        run(&breaker, &[false; 4], 0);
        let (one, two) = (breaker.enter(5000).unwrap(), breaker.enter(5000).unwrap());
        check(&breaker, "half-open", [0, 1, 1]);
        assert_eq!(breaker.enter(5000).unwrap_err(), Duration::ZERO);
        drop(one);
        let three = breaker.enter(5000).unwrap();
        assert!(breaker.enter(5000).is_err());
        two.came_to(true, 5001);
        assert!(breaker.enter(5001).is_err(), "a good trial makes no room");
        three.came_to(true, 5002);
        check(&breaker, "closed", [1, 1, 1]);
        assert_eq!(breaker.figures(5002).sums, Sums::default());
        run(&breaker, &[false; 3], 5003);
        check(&breaker, "closed", [1, 1, 1]);
    }

    #[test]
    fn a_failed_trial_opens_it_again_and_late_ones_say_nothing() {
        let breaker = breaker(2);
        let early = breaker.enter(0).unwrap();
        run(&breaker, &[false; 4], 0);
        early.came_to(false, 1);
        check(&breaker, "open", [0, 0, 1]);
        let (one, late) = (breaker.enter(5000).unwrap(), breaker.enter(5000).unwrap());
        one.came_to(false, 6000);
        check(&breaker, "open", [0, 1, 2]);
        assert_eq!(breaker.enter(6000).unwrap_err(), Duration::from_secs(5));
        let (_a, _b) = (
            breaker.enter(11_000).unwrap(),
            breaker.enter(11_000).unwrap(),
        );
        late.came_to(true, 11_000);
        assert!(breaker.enter(11_000).is_err());
        check(&breaker, "half-open", [0, 2, 2]);
    }

    #[test]
    fn new_settings_count_from_now_on() {
        let breaker = breaker(2);
        run(&breaker, &[false; 3], 0);
        breaker.set(&UpstreamBreaker {
            requests: 3,
            ..settings(1)
        });
        run(&breaker, &[true], 0);
        check(&breaker, "closed", [0; 3]);
        run(&breaker, &[false], 0);
        check(&breaker, "open", [0, 0, 1]);
        run(&breaker, &[true], 5000);
        check(&breaker, "closed", [1, 1, 1]);
    }

    #[test]
    fn fewer_trials_than_went_well_close_it() {
        let breaker = breaker(3);
        run(&breaker, &[false; 4], 0);
        run(&breaker, &[true], 5000);
        check(&breaker, "half-open", [0, 1, 1]);
        breaker.set(&settings(2));
        check(&breaker, "half-open", [0, 1, 1]);
        breaker.set(&settings(1));
        check(&breaker, "closed", [1, 1, 1]);
        assert_eq!(breaker.figures(5000).sums, Sums::default());
        assert!(breaker.enter(5000).is_ok());
    }

    #[test]
    fn trials_that_do_not_end_make_room_for_others() {
        let breaker = breaker(2);
        run(&breaker, &[false; 4], 0);
        let (one, two) = (breaker.enter(5000).unwrap(), breaker.enter(6000).unwrap());
        assert_eq!(breaker.enter(10_999).unwrap_err(), Duration::ZERO);
        assert!(breaker.refuses(10_999).is_some());
        assert!(breaker.refuses(11_000).is_none());
        let (three, four) = (
            breaker.enter(11_000).unwrap(),
            breaker.enter(11_000).unwrap(),
        );
        assert!(
            breaker.enter(11_000).is_err(),
            "no more at once than it says"
        );
        drop(one);
        assert!(breaker.enter(11_000).is_err(), "it had no place any more");
        two.came_to(true, 11_001);
        drop(four);
        check(&breaker, "half-open", [0, 1, 1]);
        assert!(
            breaker.enter(11_001).is_err(),
            "one went well, one is tried"
        );
        three.came_to(true, 11_002);
        check(&breaker, "closed", [1, 1, 1]);
    }
}
