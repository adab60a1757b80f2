//! Watching how much memory the process has.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::counted::Metrics;
use crate::metrics::process;
use crate::panics::{self, Part};

/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// Looks for as long as the process serves, where the configuration has a limit.
pub async fn watch(metrics: Arc<Metrics>) {
    panics::lasting(Part::Control, || look(&metrics)).await;
}

async fn look(metrics: &Metrics) {
    let overload = &metrics.admission.overload;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = false;
    loop {
        look.tick().await;
        let limit = overload.memory();
        if limit.is_none() && !overload.is_short() {
            continue;
        }
        let Some(resident) = process::resident_bytes() else {
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(target: "control", "overload.memory has no effect: this system does not tell how much memory of the process is resident");
            }
            continue;
        };
        let limit = limit.unwrap_or_default();
        match overload.look(resident) {
            Some(true) => {
                tracing::warn!(target: "control", resident, limit, "memory is short: {resident} bytes are resident and overload.memory is {limit}; new requests are turned away");
            }
            Some(false) => {
                tracing::info!(target: "control", resident, limit, "memory is not short any more: {resident} bytes are resident");
            }
            None => {}
        }
    }
}
