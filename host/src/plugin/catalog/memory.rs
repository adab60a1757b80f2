//! How much memory images use, asked of those that count it themselves.

use std::sync::Arc;
use std::time::Duration;

use super::view::View;
use crate::plugin::ffi::handover::Memory;
use crate::plugin::library::Loaded;
use crate::plugin::refusal::Reason;

/// How long whoever looks waits for what plugins say. What comes later is shown the next time.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long one plugin may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(5);

impl View {
    /// Asks every image that serves how much memory it uses, one call of an image at a time. Plugins that do not answer in
    /// time keep what they said last, and one that missed its deadline is not asked again; needs a tokio runtime around it.
    pub async fn measure(&self) {
        let asked: Vec<_> = self
            .serving()
            .into_iter()
            .filter(|(slot, _)| slot.stuck_in().is_none())
            .filter_map(|(slot, image)| Some((slot.claim_measurement()?, slot, image)))
            .map(|(claim, slot, image)| {
                let foreign = self.foreign().clone();
                tokio::spawn(async move {
                    let Some(loaded) = image.loaded().map(Arc::clone) else {
                        return;
                    };
                    if !loaded.table().counts_memory() {
                        return;
                    }
                    // The image is held until the call is over, so that it cannot be unloaded meanwhile.
                    let asked = Arc::clone(&slot);
                    let call = move || {
                        // Asked here and not before: another call may have got stuck while this one waited for its turn.
                        let free = asked.stuck_in().is_none();
                        let memory = free.then(|| ask(&loaded));
                        drop(image);
                        drop(claim);
                        memory
                    };
                    match slot.call(&foreign, "memory", DEADLINE, call).await {
                        Ok(Some(memory)) => slot.shown().memory = memory,
                        Err(reason @ Reason::Stuck { .. }) => {
                            slot.measure_no_more();
                            tracing::warn!(plugin = slot.label(), %reason, "it is not asked for its memory any more");
                        }
                        // Another call of it is stuck, or the system gives no thread just now.
                        Ok(None) | Err(_) => {}
                    }
                })
            })
            .collect();
        let all = async {
            for one in asked {
                let _ = one.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

fn ask(loaded: &Loaded) -> Option<Memory> {
    loaded.table().memory()
}
