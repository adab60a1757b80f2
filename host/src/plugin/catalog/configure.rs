//! From an image to instances that serve.

use std::sync::{Arc, Weak};

use super::Catalog;
use super::background::Background;
use super::state::State;
use crate::ops::background;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::image::Image;
use crate::plugin::instance::Instance;
use crate::plugin::library;
use crate::plugin::refusal::{Reason, Refusal, Step};

impl Catalog {
    /// The instance of an image with a configuration: the one that is still alive, or a new one.
    ///
    /// # Errors
    /// `configure` refuses, panics or does not return.
    pub async fn configure(
        &mut self,
        image: &Arc<Image>,
        config: &str,
    ) -> Result<Arc<Instance>, Refusal> {
        let (Some(slot), Some(loaded)) = (self.slot_of(image), image.loaded()) else {
            let file = image.identity().id.clone();
            return Err(Refusal::new(Step::Configure, file, Reason::ShuttingDown));
        };
        let hash = ConfigHash::of(slot.key.digest, config);
        let key = (slot.key, hash);
        if let Some(instance) = self.instances.get(&key).and_then(Weak::upgrade) {
            return Ok(instance);
        }
        let refuse = |reason| slot.refuse(Step::Configure, reason);
        slot.is_free(self.loader.call_timeout).map_err(refuse)?;
        let (call, config) = (Arc::clone(loaded), config.to_owned());
        let raw = slot
            .call(
                &self.foreign,
                "configure",
                self.loader.call_timeout,
                move || call.table().configure(call.mapped().host(), &config),
            )
            .await
            .map_err(refuse)?
            .map_err(|error| {
                refuse(error.reason("configure", |text| Reason::ConfigRefused { text }))
            })?;
        let instance = Arc::new(library::instance(
            Arc::clone(image),
            loaded,
            raw,
            hash,
            self.workers,
        ));
        slot.open_account(&instance);
        self.instances
            .retain(|_, instance| instance.strong_count() > 0);
        self.instances.insert(key, Arc::downgrade(&instance));
        slot.advance(State::Configured);
        self.share();
        Ok(instance)
    }

    /// Tells an instance that it is about to serve; does nothing the second time.
    ///
    /// # Errors
    /// `start` fails, panics or does not return.
    pub async fn start(&mut self, instance: &Arc<Instance>) -> Result<(), Refusal> {
        let Some(image) = instance.image().filter(|_| instance.claim_start()) else {
            return Ok(());
        };
        let (Some(slot), Some(loaded)) = (self.slot_of(image), image.loaded()) else {
            return Ok(());
        };
        let deadline = self.loader.call_timeout;
        let (call, raw, token) = (
            Arc::clone(loaded),
            instance.raw_instance(),
            instance.token(),
        );
        let background = Background {
            slot: Arc::clone(&slot),
            foreign: self.foreign.clone(),
            deadline,
            loaded: Arc::clone(loaded),
            instance: raw,
            account: instance.account(),
        };
        background::open(token, Arc::new(background));
        let started = match slot.is_free(deadline) {
            Err(reason) => Err(reason),
            Ok(()) => slot
                .call(&self.foreign, "start", deadline, move || {
                    call.table().start(raw, token)
                })
                .await
                .and_then(|outcome| {
                    let failed = |text| Reason::StartFailed { text };
                    outcome.map_err(|error| error.reason("start", failed))
                }),
        };
        if started.is_err() {
            background::end(token).await;
            // It must not be found again as one that serves: the next attempt makes a new instance.
            self.instances.remove(&(slot.key, instance.config()));
        }
        started.map_err(|reason| slot.refuse(Step::Start, reason))
    }
}
