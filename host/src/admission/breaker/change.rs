//! How a breaker comes from one state to another, and what is said of it.

use std::sync::atomic::Ordering;

use super::Breaker;
use super::state::{Inner, Settings, State};
use crate::admission::window::Sums;
use crate::health::clock::millis;

/// A change of its state, which is told once the lock is free: a log may take its time.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Change {
    to: State,
    settings: Settings,
    /// What the window held, where that is why.
    sums: Option<Sums>,
}

impl Breaker {
    /// Closes it, if as many trials went well as must.
    pub(super) fn closes(&self, inner: &mut Inner) -> Option<Change> {
        match inner.state {
            State::HalfOpen { good, .. } if good >= inner.settings.trials => {
                self.window.clear();
                Some(self.becomes(inner, State::Closed, None))
            }
            _ => None,
        }
    }

    pub(super) fn opens(&self, inner: &mut Inner, now_ms: u64, sums: Option<Sums>) -> Change {
        let until_ms = now_ms.saturating_add(millis(inner.settings.open));
        self.becomes(inner, State::Open { until_ms }, sums)
    }

    /// Changes its state.
    pub(super) fn becomes(&self, inner: &mut Inner, state: State, sums: Option<Sums>) -> Change {
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
    pub(super) fn tell(&self, change: Option<Change>) {
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
}
