//! What a client's connection is doing, so that one timer can hold it to its limits.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::config::ready::ClientTimeouts;

/// What a connection is doing. Its task, its socket and its exchange share it; all of them live on one worker.
#[derive(Debug)]
pub struct Activity {
    stage: Cell<Stage>,
    /// Since when the client has taken nothing of what is to be written.
    blocked: Cell<Option<Instant>>,
    /// Whether the connection is to end after the running exchange.
    draining: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between two requests.
    Idle(Instant),
    /// A head has begun, or the connection is new.
    Head(Instant),
    /// An exchange is running.
    Exchange,
}

/// What a connection has overdone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// No request for too long.
    Idle,
    /// A head that does not end.
    Head,
    /// An answer that is not taken.
    Answer,
}

impl Activity {
    /// A connection that was just accepted: its first head counts as begun.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            stage: Cell::new(Stage::Head(now)),
            blocked: Cell::new(None),
            draining: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Bytes came in.
    pub fn read(&self) {
        if let Stage::Idle(_) = self.stage.get() {
            self.stage.set(Stage::Head(Instant::now()));
        }
    }

    /// The client took some of what was written, or nothing.
    pub fn wrote(&self, blocked: bool) {
        match (blocked, self.blocked.get()) {
            (true, None) => self.blocked.set(Some(Instant::now())),
            (false, Some(_)) => self.blocked.set(None),
            _ => {}
        }
    }

    /// A head is complete.
    pub fn exchange_begins(&self) {
        self.stage.set(Stage::Exchange);
    }

    /// Its answer is handed over.
    pub fn exchange_ends(&self) {
        self.stage.set(Stage::Idle(Instant::now()));
    }

    /// Asks the connection to end after the running exchange.
    pub fn drain(&self) {
        self.draining.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the connection is to end after the running exchange.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Remembers whom [`Self::drain`] wakes.
    pub fn watch(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// When the connection will have overdone something, and what; none while only the upstream is waited for.
    #[must_use]
    pub fn deadline(&self, limits: &ClientTimeouts) -> Option<(Instant, Overdue)> {
        let after =
            |since: Instant, limit: Duration, what| since.checked_add(limit).map(|at| (at, what));
        if let Some(since) = self.blocked.get() {
            return after(since, limits.body, Overdue::Answer);
        }
        match self.stage.get() {
            Stage::Idle(since) => after(since, limits.idle, Overdue::Idle),
            Stage::Head(since) => after(since, limits.header, Overdue::Head),
            Stage::Exchange => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClientTimeouts = ClientTimeouts {
        header: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };

    fn due(activity: &Activity) -> Option<Overdue> {
        activity.deadline(&LIMITS).map(|(_, what)| what)
    }

    #[test]
    fn each_stage_has_its_limit() {
        let activity = Activity::new(Instant::now());
        assert_eq!(due(&activity), Some(Overdue::Head));
        activity.exchange_begins();
        activity.read();
        assert_eq!(due(&activity), None);
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer));
        activity.wrote(false);
        activity.exchange_ends();
        assert_eq!(due(&activity), Some(Overdue::Idle));
        activity.read();
        let first = activity.deadline(&LIMITS);
        activity.read();
        assert_eq!(
            activity.deadline(&LIMITS),
            first,
            "more bytes of a head give it no more time"
        );
    }
}
