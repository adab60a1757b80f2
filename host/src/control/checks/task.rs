//! The checks of one target, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use super::probe;
use crate::config::ready::ActiveHealth;
use crate::health::TargetHealth;
use crate::panics::{self, Part, fault};
use crate::upstream::manner::{Destination, Identity};

/// Within this time the first check of a target is made: soon, and not those of all targets at once.
const FIRST: Duration = Duration::from_secs(1);

/// However short an interval comes out, there is this between the beginnings of two checks.
const LEAST: Duration = Duration::from_millis(10);

/// A task that checks one target until it is dropped.
pub(super) struct Task {
    settings: ActiveHealth,
    /// What it connects to, TLS included.
    identity: Identity,
    running: JoinHandle<()>,
}

impl Task {
    /// Begins to check a target.
    pub(super) fn begin(
        to: Destination,
        settings: ActiveHealth,
        health: Arc<TargetHealth>,
    ) -> Self {
        Self {
            identity: to.identity(),
            settings: settings.clone(),
            running: spawn_local(async move {
                panics::lasting(Part::Health, || check(&to, &settings, &health)).await;
            }),
        }
    }

    /// Whether it does just that.
    pub(super) fn is_as(&self, to: &Destination, settings: &ActiveHealth) -> bool {
        self.settings == *settings && self.identity == to.identity()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn check(to: &Destination, settings: &ActiveHealth, health: &TargetHealth) {
    sleep(FIRST.min(settings.interval).mul_f64(random())).await;
    loop {
        let begun = Instant::now();
        fault::point("check");
        if let Some(result) = probe::check(to, settings).await {
            health.checked(settings, begun.elapsed(), result);
        }
        sleep_until(begun + pause(settings.interval, settings.jitter, random())).await;
    }
}

/// From the beginning of one check to that of the next: shorter or longer by up to `jitter` percent, so that many gateways
/// do not ask a target all at once. `random` is between 0 and 1.
fn pause(interval: Duration, jitter: u8, random: f64) -> Duration {
    let share = f64::from(jitter.min(100)) / 100.0;
    interval
        .mul_f64(1.0 + share * (2.0 * random - 1.0))
        .max(LEAST)
}

/// Between 0 and 1.
fn random() -> f64 {
    let bits = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_bounds() {
        let interval = Duration::from_secs(10);
        for (jitter, random, seconds) in [
            (0, 0.9, 10.0),
            (10, 0.0, 9.0),
            (10, 0.5, 10.0),
            (10, 1.0, 11.0),
            (100, 0.0, 0.01),
            (100, 1.0, 20.0),
        ] {
            let paused = pause(interval, jitter, random).as_secs_f64();
            assert!(
                (paused - seconds).abs() < 1e-6,
                "{jitter} {random} {paused}"
            );
        }
        let drawn: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(drawn.iter().all(|one| (0.0..=1.0).contains(one)));
        assert!(drawn.iter().any(|one| *one < 0.2) && drawn.iter().any(|one| *one > 0.8));
    }
}
