//! What the file says, word for word: the types from which the JSON Schema of the file is made.
//!
//! Their names, fields and doc comments are what editors show. Values are still texts here; [`super::validate`] makes
//! durations, sizes and addresses of them. Choices are written without `anyOf`, so that a message can name one
//! expectation instead of a list of alternatives that all failed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use client::{RawClientHeaders, RawClientTimeouts, RawLimits, RawUnderscores};
pub(super) use dns::RawDns;
pub(super) use health::{RawActiveHealth, RawHealth, RawHealthCheck, RawPassiveHealth};
pub(super) use life::{RawDrain, RawProcess};
pub(super) use listener::{RawListener, RawProtocol, RawProxyProtocol};
pub(super) use loader::{RawFaults, RawLoader, RawPermissions, RawUnload};
pub(super) use plugin::{
    RawBlocking, RawCallouts, RawKv, RawOnError, RawOnStateRefusal, RawPluginUse,
};
pub(super) use quantity::{RawDuration, RawSize};
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
mod loader;
mod plugin;
mod quantity;
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

/// What is counted.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Metrics")]
pub(super) struct RawMetrics {
    /// How many routes have series of their own; the others share those of the route "(other)".
    #[schemars(range(min = 0, max = 100_000))]
    pub(super) max_routes: u64,
}

// Variants carry no doc comments: with them the schema would become a `oneOf`, and its messages vague.

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Readiness")]
pub(super) enum RawReadiness {
    #[default]
    Normal,
    Strict,
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

impl Default for RawMetrics {
    fn default() -> Self {
        Self { max_routes: 1000 }
    }
}

fn plugins_dir() -> String {
    "plugins.d".to_owned()
}

fn state_dir() -> String {
    "state".to_owned()
}
