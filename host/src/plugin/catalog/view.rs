//! The catalog as others may read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::report::{self, ImageReport};
use super::slot::Slot;
use crate::plugin::account::HookTotals;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::foreign::Foreign;
use crate::plugin::image::{Image, ImageKey};
use crate::plugin::instance::Instance;
use crate::plugin::usage::UsageTotals;

/// What the admin API reads, at any time, also while the catalog waits for a plugin.
#[derive(Clone)]
pub struct View {
    seen: Arc<Mutex<Seen>>,
    foreign: Foreign,
}

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
    /// What its instances use just now.
    pub usage: UsageTotals,
    /// The bytes its images use, as they count them; none if they do not.
    pub memory_bytes: Option<u64>,
}

/// Of how many versions that are gone the accounts are kept. An older one starts from nothing if it ever comes back.
const PAST: usize = 64;

impl View {
    /// Nothing is known yet.
    pub(super) fn new(foreign: Foreign) -> Self {
        Self {
            seen: Arc::default(),
            foreign,
        }
    }

    /// The thread for foreign calls.
    pub(super) fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    /// The images that have an instance, each once.
    pub(super) fn serving(&self) -> Vec<(Arc<Slot>, Arc<Image>)> {
        let seen = self.lock();
        let mut serving: Vec<(Arc<Slot>, Arc<Image>)> = Vec::new();
        for (key, instance) in &seen.instances {
            let known = serving.iter().any(|(slot, _)| slot.key == *key);
            let image = instance.upgrade().filter(|_| !known);
            let image = image.and_then(|instance| instance.image().map(Arc::clone));
            let slot = seen.slots.iter().find(|slot| slot.key == *key);
            if let (Some(image), Some(slot)) = (image, slot) {
                serving.push((Arc::clone(slot), image));
            }
        }
        serving
    }

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
        let gone = Account {
            usage: UsageTotals::default(),
            memory_bytes: None,
            ..gone
        };
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
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn account(slot: &Slot) -> Account {
    let shown = slot.shown();
    let identity = shown.fit.identity();
    Account {
        plugin: identity.id,
        version: identity.version,
        hooks: shown.totals(),
        usage: shown.usage(),
        memory_bytes: shown.memory.map(|memory| memory.bytes),
    }
}

/// Adds to the account of the same version, or begins it.
fn add(accounts: &mut Vec<Account>, more: Account) {
    let same =
        |known: &&mut Account| (&known.plugin, &known.version) == (&more.plugin, &more.version);
    match accounts.iter_mut().find(same) {
        Some(known) => {
            HookTotals::add_all(&mut known.hooks, &more.hooks);
            known.usage.add(more.usage);
            known.memory_bytes = match (known.memory_bytes, more.memory_bytes) {
                (Some(known), Some(more)) => Some(known.saturating_add(more)),
                (known, more) => known.or(more),
            };
        }
        None => accounts.push(more),
    }
}
