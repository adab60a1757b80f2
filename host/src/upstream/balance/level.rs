//! Tiers and panic: whom a choice is made among, and among whom if there is none.

use super::facts::Facts;

/// Some of the targets of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    tier: u8,
    /// Whether also those count that are not in rotation.
    whatever: bool,
}

impl Level {
    /// Those of a tier that are in rotation.
    #[must_use]
    pub fn in_rotation(tier: u8) -> Self {
        let whatever = false;
        Self { tier, whatever }
    }

    /// All of a tier.
    #[must_use]
    pub fn all(tier: u8) -> Self {
        let whatever = true;
        Self { tier, whatever }
    }

    /// Whose targets they are.
    #[must_use]
    pub fn tier(self) -> u8 {
        self.tier
    }

    /// Whether a target is one of them.
    #[must_use]
    pub fn has(self, facts: &impl Facts, at: usize) -> bool {
        (self.whatever || facts.is_in_rotation(at)) && facts.tier(at) == self.tier
    }
}

/// The tiers of a group, and with how few targets in rotation there is panic.
#[derive(Debug)]
pub struct Tiers {
    /// Each one once, the lowest first.
    tiers: Box<[u8]>,
    /// Percent of the targets of a tier.
    panic: u8,
}

impl Tiers {
    /// From the tier of each target.
    #[must_use]
    pub fn new(tiers: impl Iterator<Item = u8>, panic: u8) -> Self {
        let mut tiers: Vec<u8> = tiers.collect();
        tiers.sort_unstable();
        tiers.dedup();
        Self {
            tiers: tiers.into(),
            panic,
        }
    }

    /// The first choice that comes to something.
    ///
    /// The lowest tier serves in which enough targets are in rotation; where none is such a one, all of the lowest tier
    /// do. Whoever tried all of these gets what is left: first what is in rotation, then anything.
    pub fn first(
        &self,
        facts: &impl Facts,
        mut choose: impl FnMut(Level) -> Option<usize>,
    ) -> Option<usize> {
        if self.panic > 0 {
            let mut tiers = self.tiers.iter().copied();
            let serves = match tiers.find(|tier| self.is_sound(facts, *tier)) {
                Some(tier) => Level::in_rotation(tier),
                None => Level::all(self.tiers.first().copied()?),
            };
            if let Some(at) = choose(serves) {
                return Some(at);
            }
        }
        // Without a threshold "enough" is one, and this order is all there is to it.
        let tiers = || self.tiers.iter().copied();
        let sound = tiers().map(Level::in_rotation).find_map(&mut choose);
        sound.or_else(|| tiers().map(Level::all).find_map(choose))
    }

    /// Whether enough targets of a tier are in rotation.
    fn is_sound(&self, facts: &impl Facts, tier: u8) -> bool {
        let (mut all, mut good) = (0, 0);
        for at in (0..facts.count()).filter(|at| facts.tier(*at) == tier) {
            all += 1;
            good += usize::from(facts.is_in_rotation(at));
        }
        good > 0 && good * 100 >= all * usize::from(self.panic)
    }
}
