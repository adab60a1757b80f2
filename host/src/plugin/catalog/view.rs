//! The catalog as others may read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::report::{self, ImageReport};
use super::slot::Slot;
use crate::plugin::image::ImageKey;
use crate::plugin::instance::{ConfigHash, HookTotals, Instance};

/// What the admin API reads, at any time, also while the catalog waits for a plugin.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    slots: Vec<Arc<Slot>>,
    instances: Vec<(ImageKey, Weak<Instance>)>,
    /// What images did that are forgotten, the oldest first.
    past: Vec<Account>,
}

/// What one version of a plugin did, whatever its images.
#[derive(Debug, Clone)]
pub struct Account {
    /// Id of the plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Hook by hook.
    pub hooks: Vec<HookTotals>,
}

/// Of how many versions that are gone the accounts are kept. An older one starts from nothing if it ever comes back.
const PAST: usize = 64;

impl View {
    /// Everything there is to know about images.
    #[must_use]
    pub fn report(&self) -> Vec<ImageReport> {
        let seen = self.lock();
        let live: Vec<(ImageKey, Arc<Instance>)> = seen
            .instances
            .iter()
            .filter_map(|(key, instance)| Some((*key, instance.upgrade()?)))
            .collect();
        seen.slots
            .iter()
            .map(|slot| report::of(slot, &live))
            .collect()
    }

    /// What every version of every plugin did. Sums of a version never grow less while any image of it is known, and the
    /// last ones that are gone are kept as well.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let seen = self.lock();
        let mut accounts = seen.past.clone();
        for slot in &seen.slots {
            add(&mut accounts, account(slot));
        }
        accounts.retain(|account| !account.hooks.is_empty());
        accounts.sort_by(|a, b| (&a.plugin, &a.version).cmp(&(&b.plugin, &b.version)));
        accounts
    }

    /// Keeps the account of an image that is about to be forgotten.
    pub(super) fn remember(&self, slot: &Arc<Slot>) {
        let mut seen = self.lock();
        // Together with taking it off the list, so that nobody counts it twice or not at all.
        seen.slots.retain(|known| !Arc::ptr_eq(known, slot));
        let gone = account(slot);
        if gone.hooks.is_empty() {
            return;
        }
        add(&mut seen.past, gone);
        let excess = seen.past.len().saturating_sub(PAST);
        seen.past.drain(..excess);
    }

    /// Shows what is known now.
    pub(super) fn show(
        &self,
        slots: &BTreeMap<ImageKey, Arc<Slot>>,
        instances: &HashMap<(ImageKey, ConfigHash), Weak<Instance>>,
    ) {
        let mut seen = self.lock();
        seen.slots = slots.values().cloned().collect();
        seen.instances = instances
            .iter()
            .map(|((key, _), instance)| (*key, Weak::clone(instance)))
            .collect();
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn account(slot: &Slot) -> Account {
    let shown = slot.shown();
    let identity = shown.fit.identity();
    Account {
        plugin: identity.id,
        version: identity.version,
        hooks: shown.totals(),
    }
}

/// Adds to the account of the same version, or begins it.
fn add(accounts: &mut Vec<Account>, more: Account) {
    let same =
        |known: &&mut Account| (&known.plugin, &known.version) == (&more.plugin, &more.version);
    match accounts.iter_mut().find(same) {
        Some(known) => HookTotals::add_all(&mut known.hooks, &more.hooks),
        None => accounts.push(more),
    }
}
