//! What the file says about upstreams and services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawDuration, RawPluginUse, RawUpstreamTls};

/// A group of targets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub(in crate::config) struct RawUpstream {
    /// Its name; services refer to it.
    pub(in crate::config) name: String,
    /// How a target is chosen.
    #[serde(default)]
    pub(in crate::config) algorithm: RawAlgorithm,
    /// What it speaks: `http/1.1`, `h2` (by ALPN with `tls`, by prior knowledge without), or `auto` (by ALPN).
    #[serde(default)]
    pub(in crate::config) protocol: RawUpstreamProtocol,
    /// How it is spoken to in TLS; without it, it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawUpstreamTls")]
    pub(in crate::config) tls: Option<RawUpstreamTls>,
    /// The servers.
    #[schemars(length(min = 1))]
    pub(in crate::config) targets: Vec<RawTarget>,
}

/// One server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(in crate::config) struct RawTarget {
    /// Where it listens: IP address and port, or `unix:` and the path of a socket.
    pub(in crate::config) address: String,
    /// Its share.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u64,
}

/// What routes lead to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(in crate::config) struct RawService {
    /// Its name; routes refer to it.
    pub(in crate::config) name: String,
    /// Name of the upstream.
    pub(in crate::config) upstream: String,
    /// How long an upstream may take.
    #[serde(default)]
    pub(in crate::config) timeouts: RawServiceTimeouts,
    /// Plugins attached to the service.
    #[serde(default)]
    pub(in crate::config) plugins: Vec<RawPluginUse>,
}

/// How long an upstream may take.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ServiceTimeouts")]
pub(in crate::config) struct RawServiceTimeouts {
    /// To connect to one target.
    pub(in crate::config) connect: RawDuration,
    /// From the sent request to the head of the answer.
    pub(in crate::config) response: RawDuration,
    /// Between two pieces of a body, in either direction.
    pub(in crate::config) idle: RawDuration,
    /// Silence of both sides of an upgraded connection, such as a WebSocket.
    pub(in crate::config) tunnel: RawDuration,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Algorithm")]
pub(in crate::config) enum RawAlgorithm {
    #[default]
    RoundRobin,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[schemars(rename = "UpstreamProtocol")]
pub(in crate::config) enum RawUpstreamProtocol {
    #[default]
    #[serde(rename = "http/1.1")]
    Http1,
    #[serde(rename = "h2")]
    Http2,
    #[serde(rename = "auto")]
    Auto,
}

impl Default for RawServiceTimeouts {
    fn default() -> Self {
        Self {
            connect: RawDuration::new("5s"),
            response: RawDuration::new("60s"),
            idle: RawDuration::new("60s"),
            tunnel: RawDuration::new("1h"),
        }
    }
}

fn one() -> u64 {
    1
}
