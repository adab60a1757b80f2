//! What control did, counted: changes, swaps, refusals. Rare, so a lock does no harm.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::names::{CHANGES, LOOKUPS, REFUSALS, SWAPS};
use super::page::{Family, Page};

/// Counts of events; every label has a closed set of values.
#[derive(Debug, Default)]
pub struct Events {
    /// By trigger and outcome.
    changes: Tally<[&'static str; 2]>,
    /// By outcome.
    swaps: Tally<[&'static str; 1]>,
    /// By reason.
    refusals: Tally<[&'static str; 1]>,
    /// By result.
    lookups: Tally<[&'static str; 1]>,
}

#[derive(Debug)]
struct Tally<L>(Mutex<BTreeMap<L, u64>>);

impl<L> Default for Tally<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L: Ord + AsRef<[&'static str]>> Tally<L> {
    fn count(&self, labels: L) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(labels).or_default() += 1;
    }

    fn show(&self, mut family: Family, page: &mut Page) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, count) in &*counts {
            family.count(labels.as_ref(), *count);
        }
        page.add(family);
    }
}

impl Events {
    /// Counts a change of what is served.
    pub fn changed(&self, trigger: &'static str, outcome: &'static str) {
        self.changes.count([trigger, outcome]);
    }

    /// Counts a change of the folder that replaced an image in use, or could not.
    pub fn swapped(&self, outcome: &'static str) {
        self.swaps.count([outcome]);
    }

    /// Counts a plugin file that is not taken.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.count([reason]);
    }

    /// Counts a look-up of a name of targets.
    pub fn looked_up(&self, result: &'static str) {
        self.lookups.count([result]);
    }

    /// Shows all of it.
    pub fn show(&self, page: &mut Page) {
        self.refusals.show(Family::of(&REFUSALS), page);
        self.swaps.show(Family::of(&SWAPS), page);
        self.changes.show(Family::of(&CHANGES), page);
        self.lookups.show(Family::of(&LOOKUPS), page);
    }
}
