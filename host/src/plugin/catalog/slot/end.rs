//! The way back: an instance is destroyed, its image unloaded and unmapped, unless something pins it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::state::State;
use super::{Life, Slot};
use crate::config::ready::UnloadPolicy;
use crate::fault::{images, label};
use crate::ops::background;
use crate::plugin::foreign::Foreign;
use crate::plugin::inspect::{Pin, Unload};
use crate::plugin::instance::RetiredInstance;
use crate::plugin::library::Loaded;
use crate::plugin::mapped::is_mapped;

impl Slot {
    /// Ends an instance, then lets go of its image. Where a call of this plugin has not returned, `destroy` is not
    /// called and the instance leaks: that call may still be inside it.
    pub(in crate::plugin::catalog) async fn destroy(
        self: &Arc<Self>,
        instance: RetiredInstance,
        foreign: &Foreign,
        deadline: Duration,
    ) {
        // Before anything else: from here on nothing of it may be called but `destroy`.
        background::end(instance.token).await;
        self.keep_account(&instance);
        let Some(loaded) = instance.image.loaded().cloned() else {
            return;
        };
        let (raw, slot) = (instance.raw, Arc::clone(self));
        // A call that gets stuck keeps the library mapped by itself: it holds `loaded`.
        let ended = self
            .call(foreign, "destroy", deadline, move || {
                // Asked here and not before: another call may have got stuck while this one waited for its turn.
                let stuck = slot.stuck_in();
                if stuck.is_none() {
                    loaded.table().destroy(raw);
                }
                stuck
            })
            .await;
        let (plugin, config) = (self.label(), instance.config);
        match ended {
            Ok(None) => {}
            Ok(Some(hook)) => {
                tracing::warn!(plugin, %config, hook, "an instance is not destroyed, for a call has not returned");
            }
            Err(reason) => {
                tracing::error!(plugin, %config, %reason, "an instance could not be destroyed");
            }
        }
    }

    /// Ends an image that nobody uses: `unload`, then unmapping, where the file allows it.
    pub(in crate::plugin::catalog) async fn unload(
        &self,
        loaded: Arc<Loaded>,
        foreign: &Foreign,
        deadline: Duration,
        policy: UnloadPolicy,
    ) {
        drop(loaded);
        let mut life = self.life.lock().await;
        if life.image.strong_count() > 0 {
            // Back in use before the message was read.
            return;
        }
        let Some(loaded) = life.loaded.take() else {
            self.unmap(&mut life, foreign, deadline).await;
            return;
        };
        self.advance(State::Retired);
        self.finish(&mut life, loaded, foreign, deadline, policy)
            .await;
    }

    pub(in crate::plugin::catalog) async fn finish(
        &self,
        life: &mut Life,
        loaded: Arc<Loaded>,
        foreign: &Foreign,
        deadline: Duration,
        policy: UnloadPolicy,
    ) {
        let mut pins = self.pins(&loaded, policy);
        if let Some(hook) = self.stuck_in() {
            // An instance is still being destroyed, so `unload` may not be called.
            pins.push(Pin::Stuck(hook));
        } else {
            let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            let mapped = Arc::clone(loaded.mapped());
            let unloaded = self
                .call(foreign, "unload", deadline, move || {
                    loaded.table().unload(ms)
                })
                .await;
            match unloaded {
                Ok(Ok(())) => {}
                Ok(Err(error)) => pins.push(Pin::UnloadFailed(format!("{error:?}"))),
                Err(_) => pins.push(Pin::Stuck("unload".to_owned())),
            }
            mapped.metrics().end_life();
            self.shown().memory = None;
        }
        if pins.is_empty() {
            self.unmap(life, foreign, deadline).await;
        } else {
            self.advance(State::Resident(pins));
        }
    }

    /// Unmaps the library and looks whether it is gone. Only after `unload`, and only where nothing pins it.
    async fn unmap(&self, life: &mut Life, foreign: &Foreign, deadline: Duration) {
        if self.state() != State::Retired {
            return;
        }
        let Some(mapped) = life.mapped.take() else {
            return;
        };
        let path = mapped.path().to_owned();
        // Destructors of the plugin run in there.
        let closed = self
            .call(foreign, "a destructor", deadline, move || mapped.unmap())
            .await;
        match closed {
            Ok(Ok(_)) if !is_mapped(&path) => {
                images::unmapped(label::of(&self.shown().fit.identity()));
                self.mapped.store(false, Ordering::Release);
                self.advance(State::Unloaded);
            }
            Ok(Ok(_)) => self.advance(State::Resident(vec![Pin::StillMapped])),
            // A second message about the same image is still in the queue; it brings us here again.
            Ok(Err(mapped)) => life.mapped = Some(mapped),
            Err(_) => self.advance(State::Resident(vec![Pin::Stuck("a destructor".to_owned())])),
        }
    }

    fn pins(&self, loaded: &Loaded, policy: UnloadPolicy) -> Vec<Pin> {
        let mut pins = match &self.shown().fit.inspected.unload {
            Unload::Allowed => Vec::new(),
            Unload::Resident(pins) => pins.clone(),
        };
        let flags = loaded.table().flags;
        if flags.owns_threads {
            pins.push(Pin::OwnsThreads);
        }
        if flags.resident {
            pins.push(Pin::Asked);
        }
        if policy == UnloadPolicy::Never {
            pins.push(Pin::Setting);
        }
        pins
    }
}
