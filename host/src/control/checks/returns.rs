//! Ejected targets come back in time, whether anybody asks for them or not.

use std::sync::Arc;
use std::time::Duration;

use crate::counted::Metrics;
use crate::health::clock::now_ms;
use crate::panics::{self, Part};

/// Looks after every ejection until it is over; never ends.
pub(super) async fn follow(metrics: Arc<Metrics>) {
    panics::lasting(Part::Health, || bring_back(&metrics)).await;
}

async fn bring_back(metrics: &Metrics) {
    let register = &metrics.health;
    loop {
        let mut next: Option<u64> = None;
        register.each(|_, _, health| next = next.into_iter().chain(health.look()).min());
        tokio::select! {
            () = register.ejection() => {}
            () = until(next) => {}
        }
    }
}

async fn until(at: Option<u64>) {
    match at {
        // A millisecond late is not too early, which would only have it look again.
        Some(at) => {
            tokio::time::sleep(Duration::from_millis(at.saturating_sub(now_ms()) + 1)).await;
        }
        None => std::future::pending().await,
    }
}
