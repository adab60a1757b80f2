//! The pieces of a stream's answer that were handed over, of which the client must take one in time.

use std::time::{Duration, Instant};

use super::Activity;

impl Activity {
    /// A piece of an answer goes to the connection's client, who may give the window for it back.
    pub fn piece_counts(&self) {
        let pieces = &self.many.pieces;
        pieces.set(pieces.get().saturating_add(1));
    }

    /// How many pieces were handed over since this was last asked.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.many.pieces.take()
    }

    /// A piece of a stream's answer was handed over; the client has `limit` to take some of it.
    pub fn piece_leaves(&self, limit: Duration) {
        let Some(within) = &self.within else { return };
        within.connection.piece_counts();
        within.out.set(within.out.get() + 1);
        if self.blocked.get().is_none() {
            let now = Instant::now();
            self.blocked.set(Some(now));
            if let Some(at) = now.checked_add(limit) {
                self.comes_nearer(at);
            }
        }
    }

    /// Some of it was written.
    pub fn piece_moves(&self) {
        if let Some(within) = &self.within {
            within.moved.set(true);
        }
    }

    /// All of it was written, or it was given up.
    pub fn piece_left(&self) {
        let Some(within) = &self.within else { return };
        within.out.set(within.out.get().saturating_sub(1));
        within.moved.set(true);
        if within.out.get() == 0 {
            self.blocked.set(None);
            if within.driven.get() {
                self.wake();
            }
        }
    }

    /// Whether pieces of the answer are still waiting to be written.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.within
            .as_ref()
            .is_some_and(|within| within.out.get() > 0)
    }

    /// Nobody drives the stream any more.
    pub fn driven_no_more(&self) {
        if let Some(within) = &self.within {
            within.driven.set(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::activity::streams::tests::connection;
    use crate::activity::tests::{Bell, LIMITS};

    #[test]
    fn pieces_are_counted_until_somebody_asks() {
        let connection = connection();
        assert_eq!(connection.pieces(), 0);
        let streams = [Activity::stream(&connection), Activity::stream(&connection)];
        for stream in &streams {
            stream.piece_leaves(LIMITS.body);
            stream.piece_leaves(LIMITS.body);
        }
        assert_eq!((connection.pieces(), connection.pieces()), (4, 0));
    }

    #[test]
    fn an_answer_is_handed_over_with_its_last_piece() {
        let stream = Activity::stream(&connection());
        assert!(!stream.is_handing_over() && !stream.is_blocked());
        let (bell, waker) = Bell::new();
        stream.watch(&waker);
        stream.piece_leaves(LIMITS.body);
        stream.piece_leaves(LIMITS.body);
        stream.piece_left();
        assert!(stream.is_handing_over() && stream.is_blocked());
        assert_eq!(bell.rang(), 0);
        stream.piece_left();
        assert!(!stream.is_handing_over() && !stream.is_blocked());
        assert_eq!(bell.rang(), 1, "there is room for more");
    }

    #[test]
    fn nobody_is_woken_by_the_last_piece_of_what_nobody_drives() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        let (bell, waker) = Bell::new();
        stream.watch(&waker);
        stream.piece_leaves(LIMITS.body);
        stream.driven_no_more();
        stream.piece_left();
        assert_eq!(bell.rang(), 0);
        assert!(!stream.is_blocked());
    }

    #[test]
    fn the_first_piece_that_is_not_taken_names_the_limit() {
        let connection = connection();
        let stream: Rc<Activity> = Activity::stream(&connection);
        let before = Instant::now();
        stream.piece_leaves(LIMITS.body);
        let first = connection.deadline(&LIMITS).unwrap().0;
        assert!(first >= before + LIMITS.body && first <= Instant::now() + LIMITS.body);
        stream.piece_leaves(Duration::ZERO);
        assert_eq!(connection.deadline(&LIMITS).unwrap().0, first);
    }
}
