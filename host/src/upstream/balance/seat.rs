//! What one worker knows of one target: how many of its requests are under way there.

use std::cell::Cell;
use std::rc::Rc;

/// What one worker knows of one target.
#[derive(Debug, Default)]
pub struct Seat {
    under_way: Cell<u32>,
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
}

impl Drop for Seated {
    fn drop(&mut self) {
        let seat = &self.0;
        seat.under_way.set(seat.under_way.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_counts_no_more() {
        let seat = Rc::new(Seat::default());
        let (one, two) = (seat.take(), seat.take());
        assert_eq!(seat.under_way(), 2);
        drop((one, two));
        assert_eq!(seat.under_way(), 0);
    }
}
