//! What the file says about the process: as whom it runs, and how it comes to its end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawDuration;

/// How a process, and what a reload replaced, comes to its end.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Drain")]
pub(in crate::config) struct RawDrain {
    /// How long a shutdown goes on accepting while `/readyz` says no already; not at all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) delay: Option<RawDuration>,
    /// How long a shutdown waits for running exchanges.
    pub(in crate::config) shutdown: RawDuration,
    /// How long the new process of an upgrade may take until it serves; ended then, and the old one serves on.
    pub(in crate::config) upgrade: RawDuration,
    /// How long exchanges and tunnels may run on that began before a reload or a swap; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) max: Option<RawDuration>,
}

/// As whom the process runs.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Process")]
pub(in crate::config) struct RawProcess {
    /// The user to become once everything is bound; nobody else unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) user: Option<String>,
    /// The group to become; the first group of the user unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) group: Option<String>,
}

impl Default for RawDrain {
    fn default() -> Self {
        Self {
            delay: None,
            shutdown: RawDuration::new("30s"),
            upgrade: RawDuration::new("30s"),
            max: None,
        }
    }
}
