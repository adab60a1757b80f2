//! How a connection comes to its end: who asks for it and how soon, and whether anything is under way that it waits for.

use std::time::{Duration, Instant};

use super::{Activity, Stage};

/// How soon a connection that is to end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After the running exchange; at once where none runs.
    Now,
    /// After the next answer, which says so; if none is asked for in a while, then. HTTP/2 has a way of its own to end
    /// without a loss, and takes it at once.
    Soon,
}

/// How long a client of HTTP/2 may go on to ask after it was told to end: hyper names the last stream only once the client
/// answered a PING, and one that does not could go on for ever.
const LISTENS: Duration = Duration::from_secs(3);

impl Activity {
    /// Asks the connection to end after the running exchange.
    pub fn drain(&self) {
        self.leave(Leave::Now);
    }

    /// Asks the connection to end.
    pub fn leave(&self, leave: Leave) {
        self.leave.set(leave);
        if self.draining.get().is_none() {
            self.draining.set(Some(Instant::now()));
        }
        self.wake();
        self.wake_streams();
    }

    /// Asks the connection to end after what runs, also of a stream.
    pub fn drain_connection(&self) {
        self.connection().unwrap_or(self).drain();
    }

    /// Whether the connection is to end after the running exchange.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Whether the connection is to end without another request.
    #[must_use]
    pub fn must_end(&self) -> bool {
        self.is_draining() && (self.leave.get() == Leave::Now || self.is_multiplexed())
    }

    /// Whether the connection was told to end and nothing is under way that it waits for: it is gone in a moment.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let at_the_end = matches!(self.stage.get(), Stage::Idle(_) | Stage::Lingering(_));
        at_the_end && self.must_end() && self.is_free()
    }

    /// Whether it was told to end so long ago that no request is on its way any more from a client that listens.
    #[must_use]
    pub fn is_deaf(&self, now: Instant) -> bool {
        let told = self.draining.get();
        told.is_some_and(|told| now.saturating_duration_since(told) >= LISTENS)
    }

    /// Whether the client may still be sending when the connection closes: closing at once would reset it, and it
    /// could lose the answer (RFC 9112, 9.6). Says so once.
    pub fn lingers(&self) -> bool {
        // In HTTP/2 a client may always be sending: window updates for what it has just been given, for example.
        let sending = self.unread.get()
            || self.is_multiplexed()
            || matches!(self.stage.get(), Stage::Head(_));
        if sending {
            self.stage.set(Stage::Lingering(Instant::now()));
        }
        sending
    }

    /// Since when the connection has been kept for nothing but another request; none if something is under way.
    #[must_use]
    pub fn idle_since(&self) -> Option<Instant> {
        match self.stage.get() {
            Stage::Idle(since) if self.is_free() && !self.is_draining() => Some(since),
            _ => None,
        }
    }

    fn is_free(&self) -> bool {
        self.streams() == 0 && !self.body_open.get() && !self.is_blocked()
    }

    /// Says whether this connection is one too many.
    pub fn is_too_many(&self, surplus: bool) {
        self.surplus.set(surplus);
    }

    /// Whether the connection is one too many, also of a stream.
    #[must_use]
    pub fn is_surplus(&self) -> bool {
        self.surplus.get() || self.connection().is_some_and(|own| own.surplus.get())
    }
}
