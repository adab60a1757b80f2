//! The way back: what nobody uses any more ends, and what is gone is forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::{Catalog, key_of};
use crate::plugin::image::{Digest, Retired};

impl Catalog {
    /// Waits for something nobody uses any more. Cancel safe.
    pub async fn retired(&mut self) -> Option<Retired> {
        self.retired.recv().await
    }

    /// Sends `destroy` or `unload` on its way. Does not wait for it; needs a tokio runtime around it.
    pub fn on_retired(&mut self, event: Retired) {
        while self.ending.try_join_next().is_some() {}
        let (foreign, deadline) = (self.foreign.clone(), self.loader.call_timeout);
        let policy = self.loader.unload;
        match event {
            Retired::Instance(instance) => {
                let Some(slot) = self.slot_of(&instance.image) else {
                    return;
                };
                self.ending
                    .spawn(async move { slot.destroy(instance, &foreign, deadline).await });
            }
            Retired::Image(loaded) => {
                let found = self.slots.get(&key_of(&loaded));
                if let Some(slot) = found.cloned() {
                    self.ending.spawn(async move {
                        slot.unload(loaded, &foreign, deadline, policy).await;
                    });
                }
            }
        }
    }

    /// Brings everything that nobody uses any more to its end, for a shutdown; at most for `limit`.
    pub async fn quiesce(&mut self, limit: Duration) -> bool {
        let work = async {
            loop {
                while let Ok(event) = self.retired.try_recv() {
                    self.on_retired(event);
                }
                if self.ending.join_next().await.is_none() && self.retired.is_empty() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, work).await.is_ok()
    }

    /// Forgets files that are neither in the folder nor mapped; removes their copies. `present` are the digests of the
    /// folder as it is now.
    pub fn forget_except(&mut self, present: &[Digest]) {
        let stage = Arc::clone(&self.stage);
        self.slots.retain(|key, slot| {
            let keep = present.contains(&key.digest) || !slot.is_idle();
            if !keep {
                self.view.remember(slot);
                stage.forget(&slot.path());
            }
            keep
        });
        let known: Vec<Digest> = self.slots.keys().map(|key| key.digest).collect();
        self.verdicts.keep_only(&known);
        self.share();
    }

    /// Removes what other builds of the gateway remember of plugin files; for a process that serves.
    pub fn forget_other_builds(&self) {
        self.verdicts.remove_others();
    }
}
