//! The target with the fewest requests under way, by weight.

use std::cell::Cell;

use super::facts::{Facts, Field};
use super::seat::Seat;

/// Where the next choice begins to look, so that equal ones are taken in turn.
#[derive(Debug, Default)]
pub struct LeastRequests(Cell<usize>);

impl LeastRequests {
    /// The target of the field where one more request weighs least: requests there, this one included, by weight.
    #[must_use]
    pub fn next(&self, field: &Field<'_, impl Facts>) -> Option<usize> {
        let (count, from) = (field.count(), self.0.get());
        let mut best: Option<(usize, u64, u64)> = None;
        for at in (from..count).chain(0..from.min(count)) {
            let weight = field.weight(at);
            if weight == 0 {
                continue;
            }
            let load = u64::from(field.seat(at).map_or(0, Seat::under_way)) + 1;
            // load / weight < least / its, without the division; both sides stay below 2^54.
            if best.is_none_or(|(_, least, its)| load * its < least * weight) {
                best = Some((at, load, weight));
            }
        }
        let (at, ..) = best?;
        self.0.set(at + 1);
        Some(at)
    }
}
