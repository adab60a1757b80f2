//! How plugin files are admitted, and what becomes of those that go wrong.

use std::time::Duration;

/// How plugin files are admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Who may be able to write to plugin files.
    pub permissions: Permissions,
    /// How long a preflight may take.
    pub preflight_timeout: Duration,
    /// How long one foreign control call (load, configure, start, destroy, unload) may take before it counts as stuck.
    pub call_timeout: Duration,
    /// When an image is unmapped.
    pub unload: UnloadPolicy,
    /// How many distinct images may stay mapped.
    pub max_images: usize,
    /// How many bytes an instance may hand over to the one that takes its place.
    pub state_bytes: usize,
}

/// Who may be able to write to plugin files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Neither group nor world.
    Strict,
    /// The group may.
    Relaxed,
}

/// When an image is unmapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnloadPolicy {
    /// When the file proves that nothing pins it.
    Auto,
    /// Never.
    Never,
}

/// What becomes of plugins that go wrong while they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// How long one call of a hook may take.
    pub hook_budget: Duration,
    /// When a version is left alone for a while.
    pub breaker: Breaker,
    /// How long a version that replaced another one is on probation.
    pub probation: Duration,
    /// Faults on probation after which the version before comes back; 0: never.
    pub return_after: u64,
    /// How long a worker of a supervised gateway may stand still.
    pub hung: Duration,
    /// Crashes after which a file is put into quarantine; 0: never.
    pub crashes: u64,
}

/// When a version that goes wrong again and again is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// So many faults open it; 0: it never opens.
    pub faults: usize,
    /// Within this time.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
}
