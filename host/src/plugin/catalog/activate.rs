//! From a fit file to an image in use.

use std::sync::Arc;

use super::Catalog;
use super::slot::{Life, Slot};
use super::state::State;
use crate::plugin::fit::Fit;
use crate::plugin::image::{Image, ImageKey};
use crate::plugin::refusal::{Reason, Refusal, Step};

/// From this many mapped images on, every new one warns.
const WARN_AT: usize = 64;

impl Catalog {
    /// The image of a file: the one in use, a resident one entered again, or a new one.
    ///
    /// # Errors
    /// It cannot be loaded, or there are too many.
    pub async fn activate(&mut self, fit: &Arc<Fit>) -> Result<Arc<Image>, Refusal> {
        let key = fit.key();
        let refuse = |reason| fit.refuse(Step::Load, reason);
        let slot = Arc::clone(
            self.slots
                .entry(key)
                .or_insert_with(|| Arc::new(Slot::new(Arc::clone(fit), &self.grounds))),
        );
        // While `unload` runs this waits for its end, which its deadline bounds.
        let mut life = slot.life.lock().await;
        if let Some(image) = life.image.upgrade() {
            return Ok(image);
        }
        if let Some(loaded) = life.loaded.clone() {
            // Its last instance has just gone and `unload` was not called yet: back into use, nothing to call.
            let image = Image::new(loaded, self.queue.clone());
            life.image = Arc::downgrade(&image);
            slot.advance(State::Loaded);
            return Ok(image);
        }
        let image = self.bring_in(fit, &slot, &mut life).await.map_err(refuse)?;
        slot.advance(State::Loaded);
        Ok(image)
    }

    /// Maps, enters and loads what is not in use.
    async fn bring_in(
        &self,
        fit: &Fit,
        slot: &Slot,
        life: &mut Life,
    ) -> Result<Arc<Image>, Reason> {
        let deadline = self.loader.call_timeout;
        slot.is_free(deadline)?;
        // A preflight has said it before anything is mapped: constructors run with the mapping.
        if slot.is_only_one() {
            self.is_only(&slot.key, fit)?;
        }
        if life.mapped.is_none() {
            self.has_room(&slot.key, fit)?;
        }
        let loaded = slot.load(life, &self.foreign, deadline).await?;
        if loaded.table().flags.one_image_only
            && let Err(reason) = self.is_only(&slot.key, fit)
        {
            slot.advance(State::Retired);
            slot.finish(life, loaded, &self.foreign, deadline, self.loader.unload)
                .await;
            return Err(reason);
        }
        let image = Image::new(Arc::clone(&loaded), self.queue.clone());
        life.loaded = Some(loaded);
        life.image = Arc::downgrade(&image);
        Ok(image)
    }

    /// Counts the distinct images that are mapped; one more must fit under the cap.
    fn has_room(&self, key: &ImageKey, fit: &Fit) -> Result<(), Reason> {
        let mapped = self
            .slots
            .iter()
            .filter(|(other, slot)| *other != key && slot.is_mapped())
            .count();
        if mapped >= self.loader.max_images {
            return Err(Reason::TooManyImages {
                limit: self.loader.max_images,
            });
        }
        if mapped >= WARN_AT {
            tracing::warn!(
                mapped,
                max_images = self.loader.max_images,
                plugin = %fit.inspected.descriptor.id,
                "many images are mapped; a graceful restart would let go of those that serve nobody"
            );
        }
        Ok(())
    }

    /// Whether no other image that must be alone is mapped.
    fn is_only(&self, key: &ImageKey, fit: &Fit) -> Result<(), Reason> {
        let mut mapped = self
            .slots
            .iter()
            .filter(|(other, slot)| *other != key && slot.is_mapped());
        match mapped.find(|(_, slot)| slot.is_only_one()) {
            None => Ok(()),
            Some((_, other)) => Err(Reason::OneImageOnly {
                plugin: fit.inspected.descriptor.id.clone(),
                other: other.label(),
            }),
        }
    }
}
