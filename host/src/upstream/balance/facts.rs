//! What a choice goes by.

use super::level::Level;
use super::seat::Seat;
use super::wish::Tried;

/// What is known of the targets of a group, by their places in it.
pub trait Facts {
    /// How many there are.
    fn count(&self) -> usize;
    /// The tier of a target.
    fn tier(&self, at: usize) -> u8;
    /// Whether it is in rotation.
    fn is_in_rotation(&self, at: usize) -> bool;
    /// Its weight, 1 to 1000.
    fn weight(&self, at: usize) -> u32;
    /// How much of that counts, in thousandths: less than 1,000 while it starts slowly.
    fn share(&self, at: usize) -> u32;
    /// What this worker knows of it.
    fn seat(&self, at: usize) -> Option<&Seat>;
}

/// The targets that a choice is made among.
pub struct Field<'a, F> {
    facts: &'a F,
    tried: &'a Tried,
    level: Level,
    /// One more that is left out.
    but: Option<usize>,
}

impl<'a, F: Facts> Field<'a, F> {
    /// Those of a level that were not tried.
    #[must_use]
    pub fn new(facts: &'a F, tried: &'a Tried, level: Level) -> Self {
        Self {
            facts,
            tried,
            level,
            but: None,
        }
    }

    /// The same without one of them.
    #[must_use]
    pub fn without(&self, at: usize) -> Self {
        Self {
            but: Some(at),
            ..*self
        }
    }

    /// The tier that all of them are of.
    #[must_use]
    pub fn tier(&self) -> u8 {
        self.level.tier()
    }

    /// How many targets the group has, in the field or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.facts.count()
    }

    /// Whether a target is in the field.
    #[must_use]
    pub fn has(&self, at: usize) -> bool {
        at < self.facts.count()
            && self.level.has(self.facts, at)
            && self.but != Some(at)
            && !self.tried.has(at)
    }

    /// Whether anybody is in the field.
    #[must_use]
    pub fn has_any(&self) -> bool {
        (0..self.count()).any(|at| self.has(at))
    }

    /// How much of a target's weight counts, in thousandths; 0: it is not in the field.
    #[must_use]
    pub fn share(&self, at: usize) -> u32 {
        if self.has(at) {
            self.facts.share(at)
        } else {
            0
        }
    }

    /// The weight of a target in thousandths; 0: it is not in the field.
    #[must_use]
    pub fn weight(&self, at: usize) -> u64 {
        match self.share(at) {
            0 => 0,
            share => u64::from(self.facts.weight(at)) * u64::from(share),
        }
    }

    /// What this worker knows of a target.
    #[must_use]
    pub fn seat(&self, at: usize) -> Option<&'a Seat> {
        self.facts.seat(at)
    }
}
