//! How much memory images use, asked of those that count it themselves.

use std::sync::Arc;
use std::time::Duration;

use super::view::View;
use crate::plugin::ffi::handover::Memory;
use crate::plugin::library::Loaded;

/// How long whoever looks waits for what plugins say. What comes later is shown the next time.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long one plugin may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(5);

impl View {
    /// Asks every image that serves how much memory it uses. Plugins that do not answer in time keep what they said last;
    /// needs a tokio runtime around it.
    pub async fn measure(&self) {
        let asked: Vec<_> = self
            .serving()
            .into_iter()
            .filter(|(slot, _)| slot.stuck_in().is_none())
            .map(|(slot, image)| {
                let foreign = self.foreign().clone();
                tokio::spawn(async move {
                    let Some(loaded) = image.loaded().map(Arc::clone) else {
                        return;
                    };
                    if !loaded.table().counts_memory() {
                        return;
                    }
                    // The image is held until the call is over, so that it cannot be unloaded meanwhile.
                    let call = move || {
                        let memory = ask(&loaded);
                        drop(image);
                        memory
                    };
                    if let Ok(memory) = slot.call(&foreign, "memory", DEADLINE, call).await {
                        slot.shown().memory = memory;
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
