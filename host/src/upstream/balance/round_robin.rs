//! Smooth weighted round-robin.
//!
//! Each choice adds every weight to its target's credit and takes the sum of weights off the winner's, so a target of
//! weight 3 beside one of weight 1 gives `a a b a` and never `a a a b` in a burst. The algorithm is nginx's
//! (`ngx_http_upstream_round_robin.c`), over those that are in the field. One that is not keeps its credit. The position
//! is per worker, so it needs no lock.

use std::cell::Cell;

use super::facts::{Facts, Field};

/// Credits of a group of targets.
#[derive(Debug)]
pub struct RoundRobin(Box<[Cell<i64>]>);

impl RoundRobin {
    /// Starts with so many targets.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| Cell::new(0)).collect())
    }

    /// The next target of the field.
    #[must_use]
    pub fn next(&self, field: &Field<'_, impl Facts>) -> Option<usize> {
        self.next_by(|at| field.weight(at))
    }

    /// The next one of those that have a weight.
    #[must_use]
    pub fn next_by(&self, weight: impl Fn(usize) -> u64) -> Option<usize> {
        let mut best: Option<(usize, &Cell<i64>)> = None;
        let mut total = 0;
        for (at, credit) in self.0.iter().enumerate() {
            // At most some millions, so the conversion holds.
            let weight = i64::try_from(weight(at)).unwrap_or(i64::MAX);
            if weight == 0 {
                continue;
            }
            total += weight;
            credit.set(credit.get() + weight);
            if best.is_none_or(|(_, leader)| credit.get() > leader.get()) {
                best = Some((at, credit));
            }
        }
        let (at, credit) = best?;
        credit.set(credit.get() - total);
        Some(at)
    }
}
