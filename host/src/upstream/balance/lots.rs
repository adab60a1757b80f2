//! Targets drawn at random, by weight. Random numbers come from the running worker's own generator.

use super::facts::{Facts, Field};
use super::slow_start::WHOLE;

/// With so many targets it is quicker to go through all of them.
const FEW: usize = 8;
/// How often to draw from all targets in the hope of one in the field.
const DRAWS: usize = 4;

/// The weights of a group, added up.
#[derive(Debug)]
pub struct Lots(Box<[u64]>);

impl Lots {
    /// From the weight of each target.
    #[must_use]
    pub fn new(weights: impl Iterator<Item = u32>) -> Self {
        let mut sum = 0;
        let add = |weight| {
            sum += u64::from(weight);
            sum
        };
        Self(weights.map(add).collect())
    }

    /// Draws one of the field.
    ///
    /// Among many it is drawn from all; one that is not in the field is drawn anew, and one that starts slowly as often
    /// as its share says. That leaves the odds among the field as they are, and costs no walk through the group.
    #[must_use]
    pub fn draw(&self, field: &Field<'_, impl Facts>) -> Option<usize> {
        if self.0.len() > FEW {
            for _ in 0..DRAWS {
                let at = self.any()?;
                let share = field.share(at);
                if share == WHOLE || fastrand::u32(0..WHOLE) < share {
                    return Some(at);
                }
            }
        }
        let total: u64 = (0..field.count()).map(|at| field.weight(at)).sum();
        if total == 0 {
            return None;
        }
        let mut left = fastrand::u64(0..total);
        (0..field.count()).find(|at| {
            let weight = field.weight(*at);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    }

    /// One of all.
    fn any(&self) -> Option<usize> {
        let total = *self.0.last()?;
        if total == 0 {
            return None;
        }
        let lot = fastrand::u64(0..total);
        Some(self.0.partition_point(|end| *end <= lot))
    }
}
