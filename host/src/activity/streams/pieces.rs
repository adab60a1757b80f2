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
