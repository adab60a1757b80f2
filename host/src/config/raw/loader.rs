//! What the file says about plugin files: how they are admitted, and what becomes of those that go wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawDuration, RawSize};

/// How plugin files are admitted.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Loader")]
pub(in crate::config) struct RawLoader {
    /// Who may be able to write to plugin files: `strict` neither group nor world, `relaxed` the group may.
    pub(in crate::config) permissions: RawPermissions,
    /// How long a preflight may take.
    pub(in crate::config) preflight_timeout: RawDuration,
    /// How long one control call into a plugin may take before it counts as stuck.
    pub(in crate::config) call_timeout: RawDuration,
    /// When an image is unmapped: `auto` where the file proves that nothing pins it, or `never`.
    pub(in crate::config) unload: RawUnload,
    /// How many distinct images may stay mapped.
    #[schemars(range(min = 1, max = 65536))]
    pub(in crate::config) max_images: u64,
    /// How many bytes an instance may hand over to the one that takes its place.
    pub(in crate::config) state_bytes: RawSize,
}

/// What becomes of plugins that go wrong while they serve.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Faults")]
pub(in crate::config) struct RawFaults {
    /// How long one call of a hook may take before it is named in the log and counts as a fault.
    pub(in crate::config) hook_budget: RawDuration,
    /// When a version that goes wrong again and again is left alone for a while.
    pub(in crate::config) breaker: RawBreaker,
    /// How long a version that replaced another one is on probation.
    pub(in crate::config) probation: RawDuration,
    /// Faults on probation after which the version before comes back; 0: never.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::config) return_after: u64,
    /// With --supervised: how long a worker may stand still before the process that serves is started anew.
    pub(in crate::config) hung: RawDuration,
    /// With --supervised: crashes after which a plugin file is put into quarantine; 0: never.
    #[schemars(range(min = 0, max = 1000))]
    pub(in crate::config) crashes: u64,
}

/// When a version that goes wrong again and again is left alone for a while.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Breaker")]
pub(in crate::config) struct RawBreaker {
    /// So many faults open it; 0: it never opens.
    #[schemars(range(min = 0, max = 100_000))]
    pub(in crate::config) faults: u64,
    /// Within this time.
    pub(in crate::config) window: RawDuration,
    /// How long it stays open before one exchange tries the plugin again.
    pub(in crate::config) open: RawDuration,
}

// Variants carry no doc comments: with them the schema would become a `oneOf`, and its messages vague.

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Permissions")]
pub(in crate::config) enum RawPermissions {
    #[default]
    Strict,
    Relaxed,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Unload")]
pub(in crate::config) enum RawUnload {
    #[default]
    Auto,
    Never,
}

impl Default for RawLoader {
    fn default() -> Self {
        Self {
            permissions: RawPermissions::Strict,
            preflight_timeout: RawDuration::new("10s"),
            call_timeout: RawDuration::new("10s"),
            unload: RawUnload::Auto,
            max_images: 1024,
            state_bytes: RawSize::Text("64MiB".to_owned()),
        }
    }
}

impl Default for RawFaults {
    fn default() -> Self {
        Self {
            hook_budget: RawDuration::new("500ms"),
            breaker: RawBreaker::default(),
            probation: RawDuration::new("60s"),
            return_after: 5,
            hung: RawDuration::new("10s"),
            crashes: 3,
        }
    }
}

impl Default for RawBreaker {
    fn default() -> Self {
        Self {
            faults: 20,
            window: RawDuration::new("10s"),
            open: RawDuration::new("5s"),
        }
    }
}
