//! Smooth weighted round-robin.
//!
//! Each choice adds every weight to its target's credit and takes the sum of weights off the winner's, so a target of
//! weight 3 beside one of weight 1 gives `a a b a` and never `a a a b` in a burst. The algorithm is nginx's
//! (`ngx_http_upstream_round_robin.c`). The position is per worker, so it needs no lock.

use std::cell::Cell;

/// Credits of a group of targets.
#[derive(Debug)]
pub struct RoundRobin {
    weights: Box<[(i64, Cell<i64>)]>,
    total: i64,
}

impl RoundRobin {
    /// Starts with the given weights.
    #[must_use]
    pub fn new(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Box<[_]> = weights
            .map(|weight| (i64::from(weight), Cell::new(0)))
            .collect();
        let total = weights.iter().map(|(weight, _)| weight).sum();
        Self { weights, total }
    }

    /// The index of the next target; 0 where there is only one.
    #[must_use]
    pub fn next(&self) -> usize {
        if self.weights.len() < 2 {
            return 0;
        }
        let mut best: Option<(usize, &Cell<i64>)> = None;
        for (index, (weight, credit)) in self.weights.iter().enumerate() {
            credit.set(credit.get() + weight);
            if best.is_none_or(|(_, leader)| credit.get() > leader.get()) {
                best = Some((index, credit));
            }
        }
        let Some((index, credit)) = best else {
            return 0;
        };
        credit.set(credit.get() - self.total);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_without_bursts() {
        let group = RoundRobin::new([3, 1].into_iter());
        let order: Vec<usize> = (0..8).map(|_| group.next()).collect();
        assert_eq!(order, [0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(RoundRobin::new([7].into_iter()).next(), 0);
    }
}
