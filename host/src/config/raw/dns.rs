//! What the file says about looking names up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawDuration;

/// How names of targets are looked up.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Dns")]
pub(in crate::config) struct RawDns {
    /// Whom to ask: IP addresses and ports; the servers of the system unless set.
    pub(in crate::config) servers: Vec<String>,
    /// How long an answer is good at least, whatever it says.
    pub(in crate::config) min_ttl: RawDuration,
    /// How long at most.
    pub(in crate::config) max_ttl: RawDuration,
    /// How long to wait for an answer.
    pub(in crate::config) timeout: RawDuration,
}

impl Default for RawDns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            min_ttl: RawDuration::new("1s"),
            max_ttl: RawDuration::new("5m"),
            timeout: RawDuration::new("5s"),
        }
    }
}
