//! What the file says about listeners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawListenerTls;

/// One place where clients connect.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listener")]
pub(in crate::config) struct RawListener {
    /// Its name in logs and status.
    pub(in crate::config) name: String,
    /// Where it binds: IP address and port, or `unix:` and the path of a socket.
    pub(in crate::config) address: String,
    /// What it speaks: `http/1.1`, `h2`, or both. With `tls` the client chooses by ALPN; without, HTTP/2 is told from
    /// HTTP/1.1 by its first bytes.
    #[serde(default = "every_protocol")]
    #[schemars(length(min = 1))]
    pub(in crate::config) protocols: Vec<RawProtocol>,
    /// Whether connections begin with a PROXY header, which only `trusted_addresses` may send: `off`, `optional`,
    /// `required`.
    #[serde(default)]
    pub(in crate::config) proxy_protocol: RawProxyProtocol,
    /// How it speaks TLS; without it, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawListenerTls")]
    pub(in crate::config) tls: Option<RawListenerTls>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[schemars(rename = "Protocol")]
pub(in crate::config) enum RawProtocol {
    #[serde(rename = "http/1.1")]
    Http1,
    #[serde(rename = "h2")]
    Http2,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ProxyProtocol")]
pub(in crate::config) enum RawProxyProtocol {
    #[default]
    Off,
    Optional,
    Required,
}

fn every_protocol() -> Vec<RawProtocol> {
    vec![RawProtocol::Http2, RawProtocol::Http1]
}
