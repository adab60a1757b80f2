//! The better one of two that are drawn at random, by the time their answers take.
//!
//! Whoever always takes the best sends everybody to the same target until the measurement catches up; whoever takes the
//! better one of two does not (Mitzenmacher: The power of two choices in randomized load balancing, 2001).

use std::time::Instant;

use super::facts::{Facts, Field};
use super::lots::Lots;
use super::seat::Seat;

/// Draws two of the field by weight, and gives back the one that costs less.
#[must_use]
pub fn next(
    lots: &Lots,
    field: &Field<'_, impl Facts>,
    now: impl FnOnce() -> Instant,
) -> Option<usize> {
    let one = lots.draw(field)?;
    let Some(other) = lots.draw(&field.without(one)) else {
        return Some(one);
    };
    let now = now();
    let cost = |at| field.seat(at).map_or(0.0, |seat: &Seat| seat.cost(now));
    Some(if cost(other) < cost(one) { other } else { one })
}
