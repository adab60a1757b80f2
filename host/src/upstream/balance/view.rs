//! What a choice goes by, as it stands at the time of one choice.

use std::cell::Cell;
use std::rc::Rc;

use super::facts::Facts;
use super::seat::Seat;
use super::slow_start::{self, WHOLE};
use crate::health::clock;
use crate::upstream::target::{Target, Upstream};

/// The targets of a group at the time of one choice.
#[derive(Debug)]
pub struct View<'a> {
    upstream: &'a Upstream,
    seats: &'a [Rc<Seat>],
    /// Read where somebody needs it, and once.
    now_ms: Cell<Option<u64>>,
}

impl<'a> View<'a> {
    /// Of an upstream and what this worker knows of its targets.
    #[must_use]
    pub fn new(upstream: &'a Upstream, seats: &'a [Rc<Seat>]) -> Self {
        Self {
            upstream,
            seats,
            now_ms: Cell::new(None),
        }
    }

    fn target(&self, at: usize) -> Option<&'a Target> {
        self.upstream.targets.get(at)
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.get().unwrap_or_else(|| {
            let now_ms = clock::now_ms();
            self.now_ms.set(Some(now_ms));
            now_ms
        })
    }
}

impl Facts for View<'_> {
    fn count(&self) -> usize {
        self.upstream.targets.len()
    }

    fn tier(&self, at: usize) -> u8 {
        self.target(at).map_or(u8::MAX, |target| target.priority)
    }

    fn is_in_rotation(&self, at: usize) -> bool {
        self.target(at)
            .is_some_and(|target| target.account.health.is_in_rotation())
    }

    fn weight(&self, at: usize) -> u32 {
        self.target(at).map_or(0, |target| target.weight)
    }

    fn share(&self, at: usize) -> u32 {
        let Some(slow_start) = self.upstream.balance.slow_start else {
            return WHOLE;
        };
        let (Some(target), Some(seat)) = (self.target(at), self.seat(at)) else {
            return WHOLE;
        };
        let since_ms = target.account.health.since_ms();
        if since_ms == seat.whole_since_ms.get() {
            return WHOLE;
        }
        let share = slow_start::share(since_ms, self.now_ms(), slow_start);
        if share == WHOLE {
            // Nobody needs to read the clock for it any more.
            seat.whole_since_ms.set(since_ms);
        }
        share
    }

    fn seat(&self, at: usize) -> Option<&Seat> {
        self.seats.get(at).map(|seat| &**seat)
    }
}
