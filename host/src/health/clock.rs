//! The time that the health of targets goes by: milliseconds since the process began, which fit into an atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

static BEGAN: OnceLock<(Instant, u64)> = OnceLock::new();

/// When the process began, in both ways; that is, when somebody asked first.
fn began() -> (Instant, u64) {
    *BEGAN.get_or_init(|| {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        (Instant::now(), millis(since))
    })
}

/// Now. Never 0, which stands for the beginning.
#[must_use]
pub fn now_ms() -> u64 {
    millis(began().0.elapsed()).max(1)
}

/// A time of this clock in milliseconds since 1970. It does not jump where the system's clock is set.
#[must_use]
pub fn unix_ms(ms: u64) -> u64 {
    began().1.saturating_add(ms)
}

/// A length of time in whole milliseconds.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
