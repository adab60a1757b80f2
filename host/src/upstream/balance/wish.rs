//! What one request asks of the choice of its target.

use smallvec::SmallVec;

/// What a request asks of the choice of its target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// The one target it must go to, because a plugin chose it.
    pub only: Option<usize>,
    /// The target its client was kept at before, if that is one of the group.
    pub before: Option<usize>,
    /// What a consistent hash goes by, hashed.
    pub hash: Option<u64>,
}

/// The targets that a request tried already.
#[derive(Debug, Default)]
pub struct Tried(SmallVec<[usize; 4]>);

impl Tried {
    /// Notes one.
    pub fn add(&mut self, target: usize) {
        self.0.push(target);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn has(&self, target: usize) -> bool {
        self.0.contains(&target)
    }
}
