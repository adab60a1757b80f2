//! What the file says about plugins that serve: where they are attached, and what they share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RawSize;

/// One attachment of a plugin.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PluginUse")]
pub(in crate::config) struct RawPluginUse {
    /// Id of the plugin.
    pub(in crate::config) name: String,
    /// Its configuration, checked against the schema that the plugin ships.
    #[serde(default)]
    config: Map<String, Value>,
    /// What happens when it fails: `closed` answers 500, `open` skips it.
    #[serde(default)]
    pub(in crate::config) on_error: RawOnError,
    /// What happens when a new version does not take over what the old one knows: `start-empty` begins without it, `keep-old`
    /// stays with the old one.
    #[serde(default)]
    pub(in crate::config) on_state_refusal: RawOnStateRefusal,
    /// Which versions of the plugin are admitted, such as `^2` or `>=1.2, <1.5`.
    #[serde(default = "any_version")]
    pub(in crate::config) version: String,
    /// Its place in every phase, highest first; unless set, what the plugin says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = -1_000_000, max = 1_000_000))]
    pub(in crate::config) priority: Option<i64>,
}

/// Values that plugins keep for all workers and across swaps.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Kv")]
pub(in crate::config) struct RawKv {
    /// Bytes they may use in all, 32MiB or more; what was not used for longest goes first.
    pub(in crate::config) memory: RawSize,
}

/// Whom plugins may call besides services.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Callouts")]
pub(in crate::config) struct RawCallouts {
    /// Hosts and ports, such as `http://127.0.0.1:9000` or `http://*.internal:80`.
    pub(in crate::config) allow: Vec<String>,
}

/// Threads for functions of plugins that take long.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Blocking")]
pub(in crate::config) struct RawBlocking {
    /// How many threads there may be; they start when they are needed.
    #[schemars(range(min = 1, max = 1024))]
    pub(in crate::config) threads: u64,
    /// How many functions may wait for a thread.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) queue: u64,
}

// Variants carry no doc comments: with them the schema would become a `oneOf`, and its messages vague.

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "OnError")]
pub(in crate::config) enum RawOnError {
    #[default]
    Closed,
    Open,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "OnStateRefusal")]
pub(in crate::config) enum RawOnStateRefusal {
    #[default]
    StartEmpty,
    KeepOld,
}

impl Default for RawKv {
    fn default() -> Self {
        Self {
            memory: RawSize::Text("64MiB".to_owned()),
        }
    }
}

impl Default for RawBlocking {
    fn default() -> Self {
        Self {
            threads: 4,
            queue: 1024,
        }
    }
}

fn any_version() -> String {
    "*".to_owned()
}
