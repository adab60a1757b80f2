//! The catalog as others may read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::report::{self, ImageReport};
use super::slot::Slot;
use crate::plugin::image::ImageKey;
use crate::plugin::instance::{ConfigHash, Instance};

/// What the admin API reads, at any time, also while the catalog waits for a plugin.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    slots: Vec<Arc<Slot>>,
    instances: Vec<(ImageKey, Weak<Instance>)>,
}

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
