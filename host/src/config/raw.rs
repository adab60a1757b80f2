//! What the file says, word for word: the types from which the JSON Schema of the file is made.
//!
//! Their names, fields and doc comments are what editors show. Values are still texts here; [`super::validate`] makes
//! durations, sizes and addresses of them. Choices are written without `anyOf`, so that a message can name one
//! expectation instead of a list of alternatives that all failed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use client::{RawClientHeaders, RawClientTimeouts, RawLimits, RawUnderscores};
pub(super) use dns::RawDns;
pub(super) use health::{RawActiveHealth, RawHealth, RawHealthCheck, RawPassiveHealth};
pub(super) use life::{RawDrain, RawProcess};
pub(super) use listener::{RawListener, RawProtocol, RawProxyProtocol};
pub(super) use resilience::{RawConcurrency, RawOverload, RawRetries, RawUpstreamBreaker};
pub(super) use route::{
    RawMirror, RawRedirect, RawRespond, RawRoute, RawRouteTimeouts, RawSplit, RawValues,
};
pub(super) use tls::{
    RawClientCertificates, RawClientMode, RawListenerTls, RawUpstreamTls, RawVersion,
};
pub(super) use upstream::{
    RawAlgorithm, RawService, RawSticky, RawTarget, RawUpstream, RawUpstreamProtocol,
};

mod client;
mod dns;
mod health;
mod life;
mod listener;
mod resilience;
mod route;
mod tls;
mod upstream;

/// The keyword under which a schema says in words what it expects.
pub(super) const EXPECTS: &str = "x-expects";

/// The JSON Schema of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(RawConfig).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "Swapgate configuration".into());
    }
    schema
}

/// One configuration file of the gateway.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// Revision of this format; always 1.
    #[schemars(range(min = 1, max = 1))]
    #[expect(dead_code, reason = "the schema checks it; no later stage needs it")]
    format: u64,
    /// Where clients connect.
    #[schemars(length(min = 1))]
    pub(super) listeners: Vec<RawListener>,
    /// The admin listener. A change needs a restart.
    #[serde(default)]
    pub(super) admin: RawAdmin,
    /// Number of worker threads; one per core unless set. A change needs a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1, max = 1024))]
    pub(super) workers: Option<u64>,
    /// The watched folder with plugin files, relative to the folder of this file. A change needs a restart.
    #[serde(default = "plugins_dir")]
    pub(super) plugins_dir: String,
    /// Where the gateway keeps images and verdicts, relative to the folder of this file. A change needs a restart.
    #[serde(default = "state_dir")]
    pub(super) state_dir: String,
    /// How plugin files are admitted.
    #[serde(default)]
    pub(super) loader: RawLoader,
    /// What becomes of plugins that go wrong while they serve.
    #[serde(default)]
    pub(super) faults: RawFaults,
    /// What one client may use.
    #[serde(default)]
    pub(super) limits: RawLimits,
    /// What the process takes at most; who comes beyond it is told to come again.
    #[serde(default)]
    pub(super) overload: RawOverload,
    /// How long a client may take.
    #[serde(default)]
    pub(super) client_timeouts: RawClientTimeouts,
    /// Which headers of clients count.
    #[serde(default)]
    pub(super) client_headers: RawClientHeaders,
    /// Addresses and networks whose forwarding headers are believed.
    #[serde(default)]
    pub(super) trusted_addresses: Vec<String>,
    /// Addresses beside the configured targets that plugins may send requests to: `ip:port`, `network:port`, or `*` as
    /// the port.
    #[serde(default)]
    pub(super) upstream_allow: Vec<String>,
    /// The pseudonym for `Via`; without it no `Via` is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) via: Option<String>,
    /// Whether repeated slashes in a path become one before routing.
    #[serde(default)]
    pub(super) merge_slashes: bool,
    /// When `/readyz` says yes: `normal` once everything could be served, `strict` only while it can.
    #[serde(default)]
    pub(super) readiness: RawReadiness,
    /// How a process, and what a reload replaced, comes to its end.
    #[serde(default)]
    pub(super) drain: RawDrain,
    /// As whom the process runs. A change needs a restart.
    #[serde(default)]
    pub(super) process: RawProcess,
    /// What is counted.
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    /// Values that plugins keep for all workers and across swaps.
    #[serde(default)]
    pub(super) kv: RawKv,
    /// Whom plugins may call besides services.
    #[serde(default)]
    pub(super) callouts: RawCallouts,
    /// Threads for functions of plugins that take long.
    #[serde(default)]
    pub(super) blocking: RawBlocking,
    /// How names of targets are looked up.
    #[serde(default)]
    pub(super) dns: RawDns,
    /// Groups of targets.
    #[serde(default)]
    pub(super) upstreams: Vec<RawUpstream>,
    /// What routes lead to.
    #[serde(default)]
    pub(super) services: Vec<RawService>,
    /// Which request goes where.
    #[serde(default)]
    pub(super) routes: Vec<RawRoute>,
    /// Plugins attached globally.
    #[serde(default)]
    pub(super) plugins: Vec<RawPluginUse>,
}

/// The admin listener.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Admin")]
pub(super) struct RawAdmin {
    /// Where it binds: IP address and port.
    pub(super) address: String,
    /// The bearer token it asks for; required unless the address is loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) token: Option<String>,
    /// How many of the last refused requests are kept to be looked at; 0: none.
    #[schemars(range(min = 0, max = 10000))]
    pub(super) refused: u64,
}

/// How plugin files are admitted.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Loader")]
pub(super) struct RawLoader {
    /// Who may be able to write to plugin files: `strict` neither group nor world, `relaxed` the group may.
    pub(super) permissions: RawPermissions,
    /// How long a preflight may take.
    pub(super) preflight_timeout: RawDuration,
    /// How long one control call into a plugin may take before it counts as stuck.
    pub(super) call_timeout: RawDuration,
    /// When an image is unmapped: `auto` where the file proves that nothing pins it, or `never`.
    pub(super) unload: RawUnload,
    /// How many distinct images may stay mapped.
    #[schemars(range(min = 1, max = 65536))]
    pub(super) max_images: u64,
    /// How many bytes an instance may hand over to the one that takes its place.
    pub(super) state_bytes: RawSize,
}

/// What becomes of plugins that go wrong while they serve.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Faults")]
pub(super) struct RawFaults {
    /// How long one call of a hook may take before it is named in the log and counts as a fault.
    pub(super) hook_budget: RawDuration,
    /// When a version that goes wrong again and again is left alone for a while.
    pub(super) breaker: RawBreaker,
    /// How long a version that replaced another one is on probation.
    pub(super) probation: RawDuration,
    /// Faults on probation after which the version before comes back; 0: never.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) return_after: u64,
    /// With --supervised: how long a worker may stand still before the process that serves is started anew.
    pub(super) hung: RawDuration,
    /// With --supervised: crashes after which a plugin file is put into quarantine; 0: never.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) crashes: u64,
}

/// When a version that goes wrong again and again is left alone for a while.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Breaker")]
pub(super) struct RawBreaker {
    /// So many faults open it; 0: it never opens.
    #[schemars(range(min = 0, max = 100_000))]
    pub(super) faults: u64,
    /// Within this time.
    pub(super) window: RawDuration,
    /// How long it stays open before one exchange tries the plugin again.
    pub(super) open: RawDuration,
}

/// What is counted.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Metrics")]
pub(super) struct RawMetrics {
    /// How many routes have series of their own; the others share those of the route "(other)".
    #[schemars(range(min = 0, max = 100_000))]
    pub(super) max_routes: u64,
}

/// Values that plugins keep for all workers and across swaps.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Kv")]
pub(super) struct RawKv {
    /// Bytes they may use in all, 32MiB or more; what was not used for longest goes first.
    pub(super) memory: RawSize,
}

/// Whom plugins may call besides services.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Callouts")]
pub(super) struct RawCallouts {
    /// Hosts and ports, such as `http://127.0.0.1:9000` or `http://*.internal:80`.
    pub(super) allow: Vec<String>,
}

/// Threads for functions of plugins that take long.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Blocking")]
pub(super) struct RawBlocking {
    /// How many threads there may be; they start when they are needed.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) threads: u64,
    /// How many functions may wait for a thread.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) queue: u64,
}

/// One attachment of a plugin.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PluginUse")]
pub(super) struct RawPluginUse {
    /// Id of the plugin.
    pub(super) name: String,
    /// Its configuration, checked against the schema that the plugin ships.
    #[serde(default)]
    config: Map<String, Value>,
    /// What happens when it fails: `closed` answers 500, `open` skips it.
    #[serde(default)]
    pub(super) on_error: RawOnError,
    /// What happens when a new version does not take over what the old one knows: `start-empty` begins without it, `keep-old`
    /// stays with the old one.
    #[serde(default)]
    pub(super) on_state_refusal: RawOnStateRefusal,
    /// Which versions of the plugin are admitted, such as `^2` or `>=1.2, <1.5`.
    #[serde(default = "any_version")]
    pub(super) version: String,
    /// Its place in every phase, highest first; unless set, what the plugin says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = -1_000_000, max = 1_000_000))]
    pub(super) priority: Option<i64>,
}

/// A time such as `5s`, `250ms` or `1m`.
#[derive(Deserialize, Serialize)]
pub(super) struct RawDuration(pub(super) String);

/// A number of bytes: a number, or a text such as `64KiB` or `10MB`.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum RawSize {
    Number(u64),
    Text(String),
}

// Variants carry no doc comments: with them the schema would become a `oneOf`, and its messages vague.

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Permissions")]
pub(super) enum RawPermissions {
    #[default]
    Strict,
    Relaxed,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Unload")]
pub(super) enum RawUnload {
    #[default]
    Auto,
    Never,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Readiness")]
pub(super) enum RawReadiness {
    #[default]
    Normal,
    Strict,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "OnError")]
pub(super) enum RawOnError {
    #[default]
    Closed,
    Open,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "OnStateRefusal")]
pub(super) enum RawOnStateRefusal {
    #[default]
    StartEmpty,
    KeepOld,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8001".to_owned(),
            token: None,
            refused: 64,
        }
    }
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

impl Default for RawMetrics {
    fn default() -> Self {
        Self { max_routes: 1000 }
    }
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

impl RawDuration {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for RawDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time such as 250ms, 5s, 1m or 2h.",
            "type": "string",
            "examples": ["250ms", "5s", "1m"],
            EXPECTS: super::value::DURATION,
        })
    }
}

impl JsonSchema for RawSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a text with a unit such as 64KiB or 10MB.",
            "type": ["integer", "string"],
            "minimum": 0,
            "examples": ["64KiB", "10MB", 65536],
            EXPECTS: super::value::SIZE,
        })
    }
}

fn plugins_dir() -> String {
    "plugins.d".to_owned()
}

fn state_dir() -> String {
    "state".to_owned()
}

fn any_version() -> String {
    "*".to_owned()
}
