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
            // The client may be sending for as long as it likes; whether it is done is asked again.
            Some(due) if due <= now && self.body_open.get() => found.at(now.checked_add(LINGER)),
            Some(due) if due <= now => found.stuck = true,
            due => found.at(due),
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
            due => found.at(due),
        }
    }
}

/// What one stream came to.
#[derive(Default)]
struct Found {
    next: Option<Instant>,
    stuck: bool,
}

impl Found {
    /// Something is due at this time, if at any.
    fn at(&mut self, due: Option<Instant>) {
        self.next = self.next.into_iter().chain(due).min();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::activity::streams::tests::connection;
    use crate::activity::tests::{Bell, LIMITS};

    #[test]
    fn the_nearest_limit_is_found_and_only_who_is_late_is_told() {
        let connection = connection();
        let now = Instant::now();
        let (early, late) = (Activity::stream(&connection), Activity::stream(&connection));
        let at = |seconds| now.checked_add(Duration::from_secs(seconds));
        late.expect_answer(at(9));
        early.expect_answer(at(3));
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((at(3).unwrap(), Overdue::Streams))
        );
        assert_eq!(
            connection.look_through(at(3).unwrap(), &LIMITS),
            Through::Told
        );
        assert!(early.is_answer_late() && !late.is_answer_late());
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((at(9).unwrap(), Overdue::Streams))
        );
    }

    #[test]
    fn an_answer_that_is_not_taken_ends_its_stream_alone() {
        let connection = connection();
        let (slow, stalled) = (Activity::stream(&connection), Activity::stream(&connection));
        slow.piece_leaves(LIMITS.body);
        stalled.piece_leaves(LIMITS.body);
        slow.piece_moves();
        let later = Instant::now() + LIMITS.body;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        assert!(!slow.is_cut() && stalled.is_cut());
        slow.piece_left();
        assert!(!slow.is_handing_over());
    }

    #[test]
    fn what_nobody_drives_ends_the_connection_once_nothing_else_runs() {
        let connection = connection();
        let (stuck, other) = (Activity::stream(&connection), Activity::stream(&connection));
        stuck.piece_leaves(LIMITS.body);
        stuck.driven_no_more();
        let mut later = Instant::now() + LIMITS.body;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        assert!(connection.is_draining(), "the client is told to begin anew");
        drop(other);
        later += LINGER;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Stuck);
    }

    #[test]
    fn a_connection_is_woken_only_for_a_limit_before_its_timer() {
        let connection = connection();
        let (bell, waker) = Bell::new();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let named = |limit| {
            connection.watch(&waker);
            let rang = bell.rang();
            Activity::stream(&connection).expect_answer(Some(after(limit)));
            bell.rang() - rang
        };
        assert_eq!(named(9), 1, "there is no timer yet");
        connection.timer_is_set(after(5));
        assert_eq!(named(8), 0, "the timer fires sooner");
        assert_eq!(named(8), 0, "the same again");
        assert_eq!(named(5), 0, "the timer fires then");
        assert_eq!(named(3), 1);
        assert_eq!(named(4), 0, "a nearer one is known");
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((after(3), Overdue::Streams))
        );
    }

    #[test]
    fn who_is_late_is_woken_and_nobody_else() {
        let connection = connection();
        let (late, going) = (Activity::stream(&connection), Activity::stream(&connection));
        let ((first, by_first), (second, by_second)) = (Bell::new(), Bell::new());
        late.watch(&by_first);
        going.watch(&by_second);
        let now = Instant::now();
        late.expect_answer(Some(now));
        going.expect_answer(Some(now + Duration::from_secs(1)));
        connection.look_through(now, &LIMITS);
        assert_eq!((first.rang(), second.rang()), (1, 0));
        assert!(!late.is_cut(), "it tells its client");
    }

    #[test]
    fn the_time_for_all_of_it_ends_an_exchange_or_an_answer_that_is_not_taken() {
        let connection = connection();
        let streams = [(); 3].map(|()| Activity::stream(&connection));
        let [asked, blocked, going] = &streams;
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let (bell, waker) = Bell::new();
        asked.watch(&waker);
        blocked.piece_leaves(LIMITS.body);
        asked.limit_total(Some(now));
        blocked.limit_total(Some(now));
        going.limit_total(Some(later));
        connection.look_through(now, &LIMITS);
        assert!(asked.is_total_over() && !asked.is_cut());
        assert_eq!(bell.rang(), 1);
        assert!(blocked.is_total_over() && blocked.is_cut());
        assert!(!going.is_total_over() && !going.is_cut());
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((later, Overdue::Streams))
        );
    }

    #[test]
    fn a_client_that_takes_some_has_its_time_anew() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        stream.piece_leaves(LIMITS.body);
        stream.piece_moves();
        let later = Instant::now() + Duration::from_secs(20);
        connection.look_through(later, &LIMITS);
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((later + LIMITS.body, Overdue::Streams))
        );
        connection.look_through(later + LIMITS.body, &LIMITS);
        assert!(stream.is_cut(), "it took no more since");
    }

    #[test]
    fn what_nobody_drives_has_the_same_time_and_may_wait_for_its_body() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        stream.piece_leaves(LIMITS.body);
        stream.driven_no_more();
        let mut later = Instant::now();
        connection.look_through(later, &LIMITS);
        assert!(!connection.is_draining(), "it is not late");
        later += LIMITS.body;
        stream.body_begins();
        connection.look_through(later, &LIMITS);
        assert!(!connection.is_draining(), "its body still comes");
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((later + LINGER, Overdue::Streams)),
            "whether it still does is asked again"
        );
        stream.body_ends(true);
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        assert!(connection.is_draining());
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((later + LINGER, Overdue::Streams)),
            "it has a moment to go"
        );
    }

    #[test]
    fn a_connection_is_not_stuck_while_some_stream_goes_on() {
        let connection = connection();
        let (stuck, _other) = (Activity::stream(&connection), Activity::stream(&connection));
        let later = Instant::now() + LIMITS.body + LINGER;
        connection.drain();
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        stuck.piece_leaves(LIMITS.body);
        stuck.driven_no_more();
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
    }
}
