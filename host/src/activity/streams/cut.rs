//! Streams that are dropped: one whose time is over, all of a connection that has ended, or those of older generations.

use std::rc::{Rc, Weak};
use std::task::Waker;

use super::{Activity, Within};

impl Activity {
    /// Whether the stream is to be dropped.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.within.as_ref().is_some_and(|within| within.cut.get())
    }

    /// Remembers who is woken as well when the stream is to be dropped; whether it is.
    pub fn is_cut_for(&self, pump: &Waker) -> bool {
        let Some(within) = &self.within else {
            return false; // With the connection its body ends.
        };
        let mut known = within.pump.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(pump)) {
            *known = Some(pump.clone());
        }
        within.cut.get()
    }

    /// Ends all streams of a connection that has ended.
    pub fn cut_streams(&self) {
        let open = self.many.open.borrow();
        open.iter()
            .filter_map(Weak::upgrade)
            .for_each(|stream| stream.cut());
    }

    /// Ends the streams whose exchange began before a generation; how many there were. What nobody drives any more was
    /// answered, and only waits for its client, unless plugins still see its body.
    pub fn cut_before(&self, generation: u64) -> usize {
        let open = self.many.open.borrow();
        let driven = |stream: &Rc<Self>| {
            let within = stream.within.as_ref();
            let runs = |within: &Within| within.driven.get() || stream.outlived.get();
            within.is_some_and(|within| runs(within) && !within.cut.get())
        };
        let before = open.iter().filter_map(Weak::upgrade);
        let before = before.filter(|stream| driven(stream) && stream.serves_before(generation));
        before.map(|stream| stream.cut()).count()
    }

    pub(super) fn cut(&self) {
        if let Some(within) = &self.within {
            within.cut.set(true);
            if let Some(pump) = within.pump.borrow_mut().take() {
                pump.wake();
            }
        }
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::activity::streams::tests::connection;
    use crate::activity::tests::Bell;

    #[test]
    fn a_body_that_outlives_its_answer_ends_with_its_generation() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        stream.exchange_begins();
        stream.holds(1);
        stream.body_begins();
        assert!(!stream.is_cut_for(Waker::noop()));
        stream.is_outlived(true);
        stream.exchange_ends(Instant::now());
        stream.driven_no_more();
        assert_eq!(connection.cut_before(1), 0);
        assert_eq!(connection.cut_before(2), 1);
        assert!(stream.is_cut_for(Waker::noop()));
        assert_eq!(connection.cut_before(2), 0, "once");
    }

    #[test]
    fn only_who_began_before_a_generation_and_still_runs_is_cut() {
        let connection = connection();
        let serving = |generation| {
            let stream = Activity::stream(&connection);
            stream.exchange_begins();
            stream.holds(generation);
            stream
        };
        let (old, new, answered) = (serving(1), serving(2), serving(1));
        answered.driven_no_more();
        assert_eq!(connection.cut_before(2), 1);
        assert!(old.is_cut() && !new.is_cut() && !answered.is_cut());
        let older = serving(1);
        let oldest = serving(0);
        assert_eq!(connection.cut_before(2), 2, "each once");
        assert!(older.is_cut() && oldest.is_cut());
    }

    #[test]
    fn all_streams_end_with_their_connection() {
        let connection = connection();
        let streams = [Activity::stream(&connection), Activity::stream(&connection)];
        let (bell, waker) = Bell::new();
        streams.iter().for_each(|stream| stream.watch(&waker));
        connection.cut_streams();
        assert!(streams.iter().all(|stream| stream.is_cut()));
        assert_eq!(bell.rang(), 2);
        assert!(!connection.is_cut());
    }

    #[test]
    fn whoever_asked_last_for_the_body_is_woken_with_the_stream() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        let ((first, by_first), (last, by_last)) = (Bell::new(), Bell::new());
        assert!(!stream.is_cut_for(&by_first));
        assert!(!stream.is_cut_for(&by_last));
        connection.cut_streams();
        assert_eq!((first.rang(), last.rang()), (0, 1));
        assert!(stream.is_cut_for(&by_last));
        assert!(!connection.is_cut_for(&by_last));
    }
}
