//! Where a breaker stands, and whether it lets a request through there.

use std::time::Duration;

use crate::config::ready::UpstreamBreaker;
use crate::health::clock::millis;

/// The names of the states, in their order.
pub const STATES: [&str; 3] = ["closed", "half-open", "open"];

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) settings: Settings,
    /// Counts half-open states, so that a trial of an earlier one says nothing.
    pub(super) round: u64,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
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
pub(super) struct Settings {
    pub(super) failures: u64,
    pub(super) requests: u64,
    pub(super) window: Duration,
    pub(super) open: Duration,
    pub(super) trials: u32,
}

impl Inner {
    /// Whether a request may pass.
    ///
    /// # Errors
    /// How much longer none may, in milliseconds; 0: nobody knows, for trials are under way.
    pub(super) fn left(&self, now_ms: u64) -> Result<(), u64> {
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
    pub(super) fn half_open(now_ms: u64) -> Self {
        Self::HalfOpen {
            out: 0,
            good: 0,
            since_ms: now_ms,
            wave: 0,
        }
    }

    pub(super) fn number(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::HalfOpen { .. } => 1,
            Self::Open { .. } => 2,
        }
    }
}

impl Settings {
    pub(super) fn of(settings: &UpstreamBreaker) -> Self {
        Self {
            failures: u64::from(settings.failures),
            requests: u64::from(settings.requests),
            window: settings.window,
            open: settings.open,
            trials: settings.trials.max(1),
        }
    }
}
