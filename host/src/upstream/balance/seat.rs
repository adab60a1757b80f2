//! What one worker knows of one target: how many of its requests are under way there, and how long answers take.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::ewma::Ewma;

/// The cost of a target that has something to do and answered nothing yet: whoever was measured is better.
const UNKNOWN: f64 = 1e6;

/// What one worker knows of one target.
#[derive(Debug, Default)]
pub struct Seat {
    under_way: Cell<u32>,
    /// How long answers take, where somebody asks.
    pub ewma: Ewma,
    /// Since when it is in rotation, if it has had its whole share since then.
    pub whole_since_ms: Cell<u64>,
}

/// A request under way at a target, until it is dropped.
#[derive(Debug)]
pub struct Seated(Rc<Seat>);

impl Seat {
    /// A request is on its way there.
    #[must_use]
    pub fn take(self: &Rc<Self>) -> Seated {
        self.under_way.set(self.under_way.get().saturating_add(1));
        Seated(Rc::clone(self))
    }

    /// How many of this worker's requests are there.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.under_way.get()
    }

    /// How long one more request would take there, in seconds: the time that answers take, for each request that is there.
    /// One that was never measured is tried, with one request at a time.
    #[must_use]
    pub fn cost(&self, now: Instant) -> f64 {
        let requests = f64::from(self.under_way());
        match self.ewma.seconds(now) {
            Some(seconds) => seconds * (requests + 1.0),
            None => requests * UNKNOWN,
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let seat = &self.0;
        seat.under_way.set(seat.under_way.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_leaves_counts_no_more() {
        let seat = Rc::new(Seat::default());
        let (one, two) = (seat.take(), seat.take());
        assert_eq!(seat.under_way(), 2);
        drop((one, two));
        assert_eq!(seat.under_way(), 0);
    }

    #[test]
    fn a_target_nobody_knows_is_tried_once_at_a_time() {
        let (seat, known, now) = (
            Rc::new(Seat::default()),
            Rc::new(Seat::default()),
            Instant::now(),
        );
        known.ewma.took(Duration::from_millis(1), now);
        assert!(seat.cost(now) < known.cost(now));
        let _one = seat.take();
        let _others = [known.take(), known.take()];
        assert!(seat.cost(now) > known.cost(now));
        assert!((known.cost(now) - 0.003).abs() < 1e-9);
    }
}
