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

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::activity::Overdue;
    use crate::activity::deadline::LINGER;
    use crate::activity::tests::{Bell, LIMITS, due, idle};

    #[test]
    fn who_was_told_to_end_is_heard_for_a_while() {
        let activity = Activity::new(Instant::now());
        assert!(!activity.is_deaf(Instant::now() + LISTENS), "it goes on");
        let before = Instant::now();
        activity.drain();
        let just = Duration::from_millis(1);
        assert!(!activity.is_deaf(before + LISTENS - just));
        let after = Instant::now();
        assert!(activity.is_deaf(after + LISTENS));
        activity.drain();
        assert!(activity.is_deaf(after + LISTENS), "told again, no later");
    }

    #[test]
    fn only_who_may_still_send_is_waited_for() {
        let activity = idle(Instant::now());
        assert!(!activity.lingers());
        activity.body_ends(false);
        let before = Instant::now();
        assert!(activity.lingers());
        let (at, what) = activity.deadline(&LIMITS).unwrap();
        assert_eq!(what, Overdue::Linger);
        assert!(at >= before + LINGER && at <= Instant::now() + LINGER);
        let activity = Activity::new(Instant::now());
        assert!(activity.lingers(), "its head was coming");
        assert!(!activity.lingers(), "once");
        let activity = idle(Instant::now());
        activity.speaks_in_streams();
        assert!(activity.lingers(), "it may give back its window");
        assert_eq!(due(&activity), Some(Overdue::Linger));
    }

    #[test]
    fn who_ends_soon_may_have_another_request_unless_it_has_streams() {
        let activity = idle(Instant::now());
        assert!(!activity.must_end() && !activity.is_draining());
        activity.leave(Leave::Soon);
        assert!(!activity.must_end() && activity.is_draining());
        activity.drain();
        assert!(activity.must_end());
        let activity = idle(Instant::now());
        activity.speaks_in_streams();
        assert!(!activity.must_end());
        activity.leave(Leave::Soon);
        assert!(activity.must_end());
    }

    #[test]
    fn who_was_told_is_gone_in_a_moment_if_nothing_is_under_way() {
        let told = |prepare: fn(&Activity)| {
            let activity = idle(Instant::now());
            prepare(&activity);
            activity.drain();
            activity.is_leaving()
        };
        assert!(told(|_| ()));
        assert!(told(|activity| {
            activity.body_ends(false);
            activity.lingers();
        }));
        assert!(!told(Activity::read), "a head is coming");
        assert!(!told(Activity::exchange_begins));
        assert!(!told(Activity::body_begins));
        assert!(!told(|activity| activity.wrote(true)));
        let activity = idle(Instant::now());
        assert!(!activity.is_leaving(), "it was not told");
        activity.leave(Leave::Soon);
        assert!(!activity.is_leaving(), "it may ask once more");
    }

    #[test]
    fn who_lingers_with_a_stream_still_has_something_under_way() {
        let connection = Rc::new(idle(Instant::now()));
        connection.speaks_in_streams();
        let stream = Activity::stream(&connection);
        connection.drain();
        assert!(connection.lingers());
        assert!(!connection.is_leaving());
        drop(stream);
        assert!(connection.is_leaving());
    }

    #[test]
    fn only_a_connection_that_waits_for_nothing_but_a_request_is_idle() {
        let now = Instant::now();
        let since = |prepare: fn(&Activity)| {
            let activity = idle(now);
            prepare(&activity);
            activity.idle_since()
        };
        assert_eq!(since(|_| ()), Some(now));
        assert_eq!(since(Activity::read), None);
        assert_eq!(since(Activity::exchange_begins), None);
        assert_eq!(since(Activity::body_begins), None);
        assert_eq!(since(|activity| activity.wrote(true)), None);
        assert_eq!(since(Activity::drain), None);
    }

    #[test]
    fn a_stream_is_one_too_many_with_its_connection() {
        let connection = Rc::new(idle(Instant::now()));
        let stream = Activity::stream(&connection);
        assert!(!connection.is_surplus() && !stream.is_surplus());
        connection.is_too_many(true);
        assert!(connection.is_surplus() && stream.is_surplus());
        connection.is_too_many(false);
        assert!(!connection.is_surplus() && !stream.is_surplus());
        stream.is_too_many(true);
        assert!(stream.is_surplus() && !connection.is_surplus());
    }

    #[test]
    fn a_stream_asks_its_connection_to_end() {
        let connection = Rc::new(idle(Instant::now()));
        let stream = Activity::stream(&connection);
        let (bell, waker) = Bell::new();
        connection.watch(&waker);
        stream.drain_connection();
        assert!(connection.is_draining() && !stream.is_draining());
        assert_eq!(bell.rang(), 1);
        let alone = idle(Instant::now());
        alone.drain_connection();
        assert!(alone.is_draining());
    }
}
