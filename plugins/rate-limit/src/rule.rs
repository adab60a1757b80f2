//! What a rule of counting is: it takes one request for a key at a moment, and says whether the key may have it.
//!
//! Rules are pure. Time is an argument, in nanoseconds since the instance was made.

use crate::state::Reader;

/// A rule and the little it keeps for each key.
pub trait Rule: Copy + Send + Sync {
    /// What is kept for one key. Its default is a key nobody has seen.
    type State: Copy + Default + Send;

    /// Takes one request at `now`, if the key may have it; a refused request leaves the state as it was.
    fn take(&self, state: &mut Self::State, now: u64) -> Verdict;

    /// Whether the state says no more than the default does, so that it can be dropped at no loss.
    fn is_idle(&self, state: &Self::State, now: u64) -> bool;

    /// Writes a state down, for an instance that takes over.
    fn write(state: &Self::State, bytes: &mut Vec<u8>);

    /// Reads a state that was written at `now`; none if this rule never makes such a one.
    fn read(&self, reader: &mut Reader<'_>, now: u64) -> Option<Self::State>;
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may pass.
    pub admitted: bool,
    /// How many more could pass at the same moment.
    pub remaining: u32,
    /// Nanoseconds until one more could pass than could now.
    pub wait: u64,
}

/// Both rules have the same tests where they promise the same.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Key<R: Rule> {
    rule: R,
    state: R::State,
}

#[cfg(test)]
impl<R: Rule> Key<R> {
    pub(crate) fn new(rule: R) -> Self {
        let state = R::State::default();
        Self { rule, state }
    }

    pub(crate) fn take(&mut self, now: u64) -> Verdict {
        self.rule.take(&mut self.state, now)
    }

    /// How many of `tries` requests at one moment pass.
    pub(crate) fn admitted(&mut self, tries: usize, now: u64) -> usize {
        (0..tries).filter(|_| self.take(now).admitted).count()
    }

    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.rule.is_idle(&self.state, now)
    }
}
