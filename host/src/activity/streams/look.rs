//! The limits of streams: the nearest one is the connection's, and when it is over all of them are looked through.

use std::rc::Weak;
use std::time::Instant;

use super::Activity;
use crate::activity::deadline::{LINGER, Overdue};
use crate::config::ready::ClientTimeouts;

/// What became of the streams that were looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Those whose time had run out were told.
    Told,
    /// There are none but such as can neither go on nor be ended alone.
    Stuck,
}

impl Activity {
    /// The connection's timer was set.
    pub fn timer_is_set(&self, at: Instant) {
        self.many.timer.set(Some(at));
    }

    /// Looks at every stream: tells those whose time has run out, and finds the limit that comes next.
    pub fn look_through(&self, now: Instant, limits: &ClientTimeouts) -> Through {
        let mut next: Option<Instant> = None;
        let mut nearer = |at: Option<Instant>| {
            next = [next, at].into_iter().flatten().min();
        };
        let (mut stuck, mut going) = (false, false);
        for stream in self.many.open.borrow().iter().filter_map(Weak::upgrade) {
            let found = stream.look(now, limits);
            nearer(found.next);
            stuck |= found.stuck;
            going |= !found.stuck;
        }
        let told = self.is_draining();
        if stuck {
            // Nobody can reset what nobody drives. The client may finish what it has and must begin anew for more.
            nearer(now.checked_add(LINGER));
            self.drain();
        }
        self.many.nearest.set(next);
        if stuck && !going && told {
            Through::Stuck
        } else {
            Through::Told
        }
    }

    /// A stream names a limit. The connection's task is woken only if its timer would fire too late.
    pub(in crate::activity) fn comes_nearer(&self, at: Instant) {
        let Some(within) = &self.within else { return };
        let connection = &within.connection;
        let many = &connection.many;
        if many.nearest.get().is_some_and(|nearest| nearest <= at) {
            return;
        }
        many.nearest.set(Some(at));
        if many.timer.get().is_none_or(|timer| at < timer) {
            connection.wake();
        }
    }

    pub(in crate::activity) fn with_streams(
        &self,
        own: Option<(Instant, Overdue)>,
        limits: &ClientTimeouts,
    ) -> Option<(Instant, Overdue)> {
        let head = self.many.head.get();
        let head = head.and_then(|since| since.checked_add(limits.header));
        let streams = self.many.nearest.get();
        let others = [
            head.map(|at| (at, Overdue::Head)),
            streams.map(|at| (at, Overdue::Streams)),
        ];
        own.into_iter()
            .chain(others.into_iter().flatten())
            .min_by_key(|(at, _)| *at)
    }

    /// Looks at one stream.
    fn look(&self, now: Instant, limits: &ClientTimeouts) -> Found {
        let mut found = Found::default();
        let Some(within) = &self.within else {
            return found;
        };
        match self.answer_due.get() {
            Some(due) if due <= now => {
                self.answer_is_late();
                self.wake();
            }
            due => found.next = due,
        }
        self.look_at_total(now, &mut found);
        if within.moved.take() && self.blocked.get().is_some() {
            self.blocked.set(Some(now));
        }
        let taken = self.blocked.get();
        let taken = taken.and_then(|since| since.checked_add(limits.body));
        match taken {
            Some(due) if due <= now && within.driven.get() => self.cut(),
            Some(due) if due <= now => found.stuck = !self.body_open.get(),
            Some(due) => found.next = Some(found.next.map_or(due, |next| next.min(due))),
            None => {}
        }
        found
    }

    /// Tells the exchange if the time for all of it has run out. Nobody asks for more of an answer that the client takes
    /// nothing of, so there it is the stream that ends.
    fn look_at_total(&self, now: Instant, found: &mut Found) {
        match self.total_due.get() {
            Some(due) if due <= now => {
                self.total_is_over();
                if self.blocked.get().is_some() {
                    self.cut();
                } else {
                    self.wake();
                }
            }
            Some(due) => found.next = Some(found.next.map_or(due, |next| next.min(due))),
            None => {}
        }
    }
}

/// What one stream came to.
#[derive(Default)]
struct Found {
    next: Option<Instant>,
    stuck: bool,
}
