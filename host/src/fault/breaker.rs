//! The faults of one plugin file, and the breaker round it.
//!
//! An exchange that goes well reads one word for each hook. Everything else is behind a fault or an open breaker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::ready::Breaker;

/// What a hook did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It answered an error.
    Error,
    /// It panicked.
    Panic,
    /// It answered a value nobody knows.
    Unknown,
    /// It took longer than it may.
    OverBudget,
}

/// What a breaker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It opened just now.
    Opened,
    /// One exchange tries the plugin again.
    HalfOpened,
    /// The plugin is called again.
    Closed,
}

/// Faults so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Errors.
    pub errors: u64,
    /// Panics.
    pub panics: u64,
    /// Unknown answers.
    pub unknown: u64,
    /// Calls that took too long.
    pub over_budget: u64,
    /// How often the breaker opened.
    pub opened: u64,
}

impl Faults {
    /// Adds those of another file.
    pub fn add(&mut self, more: &Self) {
        self.errors += more.errors;
        self.panics += more.panics;
        self.unknown += more.unknown;
        self.over_budget += more.over_budget;
        self.opened += more.opened;
    }

    /// All that went wrong.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.errors + self.panics + self.unknown + self.over_budget
    }
}

/// The health of one plugin file, as `/plugins` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// Faults so far.
    #[serde(flatten)]
    pub faults: Faults,
}

impl HealthReport {
    /// What is to be shown.
    #[must_use]
    pub fn of(health: &Health) -> Self {
        Self {
            breaker: health.state(),
            faults: health.faults(),
        }
    }
}

/// The health of one plugin file, shared by all workers.
#[derive(Debug, Default)]
pub struct Health {
    /// 0 while the breaker is closed: the one word that every hook reads.
    gate: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    faults: Faults,
    recent: VecDeque<Instant>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    /// This exchange tries; another may, once that took too long.
    Trying {
        token: u64,
        until: Instant,
        /// Until when it was open before.
        opened: Instant,
        /// Whether a hook came to a good end in it.
        proved: bool,
    },
}

/// The settings that hold for all breakers of this process.
fn settings() -> &'static Mutex<Breaker> {
    static SETTINGS: OnceLock<Mutex<Breaker>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        Mutex::new(Breaker {
            faults: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
        })
    })
}

/// Takes over changed settings; they hold for what happens from now on.
pub fn set(breaker: Breaker) {
    *settings().lock().unwrap_or_else(PoisonError::into_inner) = breaker;
}

fn get() -> Breaker {
    *settings().lock().unwrap_or_else(PoisonError::into_inner)
}

impl Health {
    /// Whether the breaker is closed, as it nearly always is.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == 0
    }

    /// Whether this exchange may call the plugin although the breaker is not closed; what that turned.
    #[cold]
    pub fn admits(&self, token: u64) -> (bool, Option<Turn>) {
        self.admits_at(token, Instant::now(), get())
    }

    /// Counts a fault; what it turned.
    #[cold]
    pub fn fault(&self, fault: Fault) -> Option<Turn> {
        self.fault_at(fault, Instant::now(), get())
    }

    /// A hook came to a good end in an exchange; it counts if that is the one that tries.
    #[cold]
    pub fn proved(&self, token: u64) {
        let mut book = self.book();
        if let State::Trying {
            token: own, proved, ..
        } = &mut book.state
            && *own == token
        {
            *proved = true;
        }
    }

    /// An exchange is over; closes the breaker if it was the one that tried, and nothing went wrong in it. One whose client
    /// went away before any hook came to an end proved nothing: the next one tries.
    #[cold]
    pub fn ended(&self, token: u64) -> Option<Turn> {
        let mut book = self.book();
        match book.state {
            State::Trying {
                token: own,
                opened,
                proved: false,
                ..
            } if own == token => {
                self.turn(&mut book, State::Open { until: opened });
                None
            }
            State::Trying { token: own, .. } if own == token => {
                book.recent.clear();
                self.turn(&mut book, State::Closed);
                Some(Turn::Closed)
            }
            _ => None,
        }
    }

    /// Faults so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.book().faults
    }

    /// `closed`, `open` or `half-open`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.book().state {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::Trying { .. } => "half-open",
        }
    }

    fn admits_at(&self, token: u64, now: Instant, breaker: Breaker) -> (bool, Option<Turn>) {
        let mut book = self.book();
        match book.state {
            State::Closed => (true, None),
            State::Trying { token: own, .. } if own == token => (true, None),
            State::Open { until: opened } | State::Trying { until: opened, .. }
                if opened <= now =>
            {
                let trying = State::Trying {
                    token,
                    until: now + breaker.open,
                    opened,
                    proved: false,
                };
                self.turn(&mut book, trying);
                (true, Some(Turn::HalfOpened))
            }
            State::Open { .. } | State::Trying { .. } => (false, None),
        }
    }

    fn fault_at(&self, fault: Fault, now: Instant, breaker: Breaker) -> Option<Turn> {
        let mut book = self.book();
        let count = match fault {
            Fault::Error => &mut book.faults.errors,
            Fault::Panic => &mut book.faults.panics,
            Fault::Unknown => &mut book.faults.unknown,
            Fault::OverBudget => &mut book.faults.over_budget,
        };
        *count += 1;
        if breaker.faults == 0 {
            return None;
        }
        let opens = match book.state {
            State::Closed => {
                book.recent.push_back(now);
                let excess = book.recent.len().saturating_sub(breaker.faults);
                book.recent.drain(..excess);
                let first = book.recent.front();
                let within =
                    first.is_some_and(|first| now.duration_since(*first) <= breaker.window);
                book.recent.len() >= breaker.faults && within
            }
            State::Trying { .. } => true,
            // A call that began before it opened.
            State::Open { .. } => false,
        };
        if !opens {
            return None;
        }
        book.faults.opened += 1;
        book.recent.clear();
        let until = now + breaker.open;
        self.turn(&mut book, State::Open { until });
        Some(Turn::Opened)
    }

    fn turn(&self, book: &mut Book, state: State) {
        book.state = state;
        let gate = u64::from(state != State::Closed);
        self.gate.store(gate, Ordering::Relaxed);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const THREE_IN_TEN: Breaker = Breaker {
        faults: 3,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
    };

    #[test]
    fn it_opens_after_enough_faults_within_the_window() {
        let (health, start) = (Health::default(), Instant::now());
        let fault = |at: u32| health.fault_at(Fault::Panic, start + SECOND * at, THREE_IN_TEN);
        assert_eq!((fault(0), fault(9)), (None, None));
        assert_eq!(fault(11), None, "the first one is too old");
        assert!(health.is_closed());
        assert_eq!(fault(12), Some(Turn::Opened));
        assert!(!health.is_closed());
        assert_eq!(health.faults().panics, 4);
    }

    #[test]
    fn one_exchange_tries_and_decides() {
        let (health, start) = (Health::default(), Instant::now());
        for _ in 0..3 {
            health.fault_at(Fault::Error, start, THREE_IN_TEN);
        }
        let admits = |token, at: u32| health.admits_at(token, start + SECOND * at, THREE_IN_TEN);
        assert_eq!(admits(1, 4), (false, None));
        assert_eq!(admits(2, 5), (true, Some(Turn::HalfOpened)));
        assert_eq!((admits(3, 6).0, admits(2, 6).0), (false, true));
        let again = health.fault_at(Fault::Error, start + SECOND * 6, THREE_IN_TEN);
        assert_eq!(again, Some(Turn::Opened));
        assert_eq!(admits(2, 7), (false, None));
        assert_eq!(admits(4, 11), (true, Some(Turn::HalfOpened)));
        assert_eq!(
            admits(5, 16),
            (true, Some(Turn::HalfOpened)),
            "4 takes too long"
        );
        assert_eq!(health.ended(4), None);
        health.proved(4);
        assert_eq!(health.ended(5), None, "it proved nothing");
        assert_eq!(health.state(), "open");
        assert_eq!(admits(6, 16), (true, Some(Turn::HalfOpened)));
        health.proved(6);
        assert_eq!(health.ended(6), Some(Turn::Closed));
        assert!(health.is_closed());
    }
}
