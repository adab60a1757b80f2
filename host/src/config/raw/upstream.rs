//! What the file says about upstreams and services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    RawConcurrency, RawDuration, RawHealth, RawPluginUse, RawRetries, RawUpstreamBreaker,
    RawUpstreamTls,
};

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
    /// What `consistent-hash` goes by: `consumer`, `address`, `header:NAME`, `cookie:NAME` or `param:NAME`. The first one
    /// that a request has counts; without any it goes anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) hash: Vec<String>,
    /// The cookie that keeps a client at its target; none unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawSticky")]
    pub(in crate::config) sticky: Option<RawSticky>,
    /// How long it takes until a target that came, or came back, has its whole share; no time unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) slow_start: Option<RawDuration>,
    /// With fewer percent of the targets in rotation all of them are used; 0: only where none is left.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) panic: u64,
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
    /// How it is known which of them can be used.
    #[serde(default)]
    pub(in crate::config) health: RawHealth,
    /// How many requests it gets at once; no limit unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawConcurrency")]
    pub(in crate::config) concurrency: Option<RawConcurrency>,
    /// When it is left alone for a while because it fails; never unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawUpstreamBreaker")]
    pub(in crate::config) breaker: Option<RawUpstreamBreaker>,
}

/// The cookie that keeps a client at its target.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sticky")]
pub(in crate::config) struct RawSticky {
    /// Its name.
    pub(in crate::config) cookie: String,
    /// How long clients keep it; as long as their session unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) max_age: Option<RawDuration>,
}

/// One server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(in crate::config) struct RawTarget {
    /// Where it listens: IP address and port, name and port, `srv:` and the name of a service, or `unix:` and the path of
    /// a socket.
    pub(in crate::config) address: String,
    /// Its share.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u64,
    /// Its tier: those of 0 are used first, others where no target of a lower one is in rotation.
    #[serde(default)]
    #[schemars(range(min = 0, max = 15))]
    pub(in crate::config) priority: u64,
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
    /// When a request is sent again; only where nothing was sent, unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRetries")]
    pub(in crate::config) retries: Option<RawRetries>,
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
    /// From the request that is forwarded to the last byte of its answer; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) total: Option<RawDuration>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Algorithm")]
pub(in crate::config) enum RawAlgorithm {
    #[default]
    RoundRobin,
    LeastRequests,
    P2cEwma,
    ConsistentHash,
    Random,
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
            total: None,
        }
    }
}

fn one() -> u64 {
    1
}
