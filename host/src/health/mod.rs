//! Whether targets can be used. Control finds out by asking them, workers by what becomes of requests; both write here, and
//! workers read it for each choice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is known of one target of one upstream, in the whole process. It outlives reloads.
#[derive(Debug)]
pub struct TargetHealth {
    in_rotation: AtomicBool,
    /// When it came into rotation, in milliseconds since the process began; 0: it was there from the beginning.
    since_ms: AtomicU64,
}

impl Default for TargetHealth {
    fn default() -> Self {
        Self {
            in_rotation: AtomicBool::new(true),
            since_ms: AtomicU64::new(0),
        }
    }
}

impl TargetHealth {
    /// Whether it gets requests.
    #[must_use]
    pub fn is_in_rotation(&self) -> bool {
        self.in_rotation.load(Ordering::Relaxed)
    }

    /// When it came into rotation, in milliseconds since the process began; 0: it was there from the beginning.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }
}
