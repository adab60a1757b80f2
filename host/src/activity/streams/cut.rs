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
