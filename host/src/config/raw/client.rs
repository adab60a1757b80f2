//! What the file says about clients: what they may use, how long they may take, and which of their headers count.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawDuration, RawSize};

/// What one client may use.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Limits")]
pub(in crate::config) struct RawLimits {
    /// Bytes of a request head, 8KiB to 16MiB.
    pub(in crate::config) header_bytes: RawSize,
    /// Bytes of a request target: path and query.
    pub(in crate::config) uri_bytes: RawSize,
    /// Number of header fields.
    #[schemars(range(min = 1, max = 10000))]
    pub(in crate::config) headers: u64,
    /// Bytes of a request body, unless the route says otherwise.
    pub(in crate::config) body_bytes: RawSize,
    /// Open client connections in the whole process.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(in crate::config) connections: u64,
    /// Open connections of one client address in the whole process; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1, max = 10_000_000))]
    pub(in crate::config) connections_per_address: Option<u64>,
    /// Exchanges that one HTTP/2 connection may run at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) streams: u64,
    /// How long a plugin's hook may wait before it counts as failed.
    pub(in crate::config) plugin_wait: RawDuration,
}

/// How long a client may take.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ClientTimeouts")]
pub(in crate::config) struct RawClientTimeouts {
    /// For the PROXY header and the TLS handshake.
    pub(in crate::config) handshake: RawDuration,
    /// From the first byte of a head to its end.
    pub(in crate::config) header: RawDuration,
    /// Between two pieces of a body, in either direction.
    pub(in crate::config) body: RawDuration,
    /// Between two requests of a connection.
    pub(in crate::config) idle: RawDuration,
}

/// Which headers of clients count.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ClientHeaders")]
pub(in crate::config) struct RawClientHeaders {
    /// What becomes of names with an underscore, which some servers read like a hyphen: `drop` takes them out, `reject` answers
    /// 400, `allow` forwards them.
    pub(in crate::config) underscores: RawUnderscores,
    /// Names that say who a client is, such as `x-user-id` or `x-consumer-*`: only the gateway and its plugins may set them, and
    /// they are taken out of what clients send.
    pub(in crate::config) identity: Vec<String>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Underscores")]
pub(in crate::config) enum RawUnderscores {
    #[default]
    Drop,
    Reject,
    Allow,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            header_bytes: RawSize::Text("64KiB".to_owned()),
            uri_bytes: RawSize::Text("16KiB".to_owned()),
            headers: 100,
            body_bytes: RawSize::Text("100MiB".to_owned()),
            connections: 10_000,
            connections_per_address: None,
            streams: 100,
            plugin_wait: RawDuration::new("30s"),
        }
    }
}

impl Default for RawClientTimeouts {
    fn default() -> Self {
        Self {
            handshake: RawDuration::new("10s"),
            header: RawDuration::new("10s"),
            body: RawDuration::new("30s"),
            idle: RawDuration::new("60s"),
        }
    }
}
