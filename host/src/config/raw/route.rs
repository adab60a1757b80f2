//! What the file says about routes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{EXPECTS, RawConcurrency, RawDuration, RawPluginUse, RawRetries, RawSize};

/// Which request goes where: to a `service`, or answered here with `redirect` or `respond`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(in crate::config) struct RawRoute {
    /// Its name.
    pub(in crate::config) name: String,
    /// Name of the service that requests are forwarded to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) service: Option<String>,
    /// Sends clients elsewhere, instead of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRedirect")]
    pub(in crate::config) redirect: Option<RawRedirect>,
    /// The same answer for everybody, instead of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRespond")]
    pub(in crate::config) respond: Option<RawRespond>,
    /// Hosts it serves: exact, or `*.` and a suffix. Any host unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) hosts: Vec<String>,
    /// Paths it serves: a prefix by whole segments, `{name}` for one segment, `=` before an exact path, `~` before a
    /// regular expression.
    #[serde(default = "any_path")]
    #[schemars(length(min = 1))]
    pub(in crate::config) paths: Vec<String>,
    /// Methods it serves; `HEAD` is admitted where `GET` is. Any method unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) methods: Vec<String>,
    /// Headers a request must have, each with the values admitted; `~` before a regular expression, `[]` for any value.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, RawValues>,
    /// Query parameters a request must have, as in `headers`.
    #[serde(default)]
    pub(in crate::config) query: BTreeMap<String, RawValues>,
    /// Cookies a request must have, as in `headers`.
    #[serde(default)]
    pub(in crate::config) cookies: BTreeMap<String, RawValues>,
    /// Addresses and networks of clients it serves. Any unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) addresses: Vec<String>,
    /// Names that clients ask for in the TLS handshake (SNI): exact, or `*.` and a suffix. Any unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) snis: Vec<String>,
    /// Wins over everything else.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub(in crate::config) priority: i64,
    /// Orders regular expressions among each other, highest first.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub(in crate::config) regex_priority: i64,
    /// Whether the matched prefix is taken off before forwarding.
    #[serde(default)]
    pub(in crate::config) strip_path: bool,
    /// The path to forward instead, such as `/v2/users/{id}{$rest}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) rewrite_path: Option<String>,
    /// Whether the upstream sees the client's `Host`, or the name or address of the target.
    #[serde(default)]
    pub(in crate::config) preserve_host: bool,
    /// Protocols a connection may change over to (`Upgrade`); `[websocket]` unless set, `[]` for none.
    #[serde(default = "websocket")]
    pub(in crate::config) upgrades: Vec<String>,
    /// Bytes of a request body, where the route has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawSize")]
    pub(in crate::config) body_bytes: Option<RawSize>,
    /// Time-outs in which the route differs from its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRouteTimeouts")]
    pub(in crate::config) timeouts: Option<RawRouteTimeouts>,
    /// When a request is sent again, in place of what the service says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawRetries")]
    pub(in crate::config) retries: Option<RawRetries>,
    /// How many requests the route forwards at once; no limit unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawConcurrency")]
    pub(in crate::config) concurrency: Option<RawConcurrency>,
    /// Upstreams that share the requests by weight, in place of the service's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(in crate::config) split: Vec<RawSplit>,
    /// An upstream that gets copies of requests, and whose answers nobody sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawMirror")]
    pub(in crate::config) mirror: Option<RawMirror>,
    /// Plugins attached to the route.
    #[serde(default)]
    pub(in crate::config) plugins: Vec<RawPluginUse>,
}

/// An upstream's share of a route's requests.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Split")]
pub(in crate::config) struct RawSplit {
    /// Name of the upstream.
    pub(in crate::config) upstream: String,
    /// Its share.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::config) weight: u64,
}

/// An upstream that gets copies of requests.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mirror")]
pub(in crate::config) struct RawMirror {
    /// Name of the upstream.
    pub(in crate::config) upstream: String,
    /// Of how many percent of the requests.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) percent: u64,
    /// How many copies run at once on each worker; what comes beyond is not copied.
    #[serde(default = "some")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) requests: u64,
    /// Bytes of a request body that are copied; requests with longer ones are not.
    #[serde(default = "small")]
    pub(in crate::config) body_bytes: RawSize,
}

/// Sends clients elsewhere.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Redirect")]
pub(in crate::config) struct RawRedirect {
    /// Where to, such as `https://{$host}{$path}{$query}` or `/v2/users/{id}`.
    pub(in crate::config) location: String,
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "permanent")]
    #[schemars(range(min = 301, max = 308))]
    pub(in crate::config) status: u16,
}

/// The same answer for everybody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Respond")]
pub(in crate::config) struct RawRespond {
    /// Its status.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub(in crate::config) status: u16,
    /// Its headers.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// Its body; `text/plain` unless a header says otherwise.
    #[serde(default)]
    pub(in crate::config) body: String,
}

/// Time-outs in which a route differs from its service.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RouteTimeouts")]
pub(in crate::config) struct RawRouteTimeouts {
    /// To connect to one target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) connect: Option<RawDuration>,
    /// From the sent request to the head of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) response: Option<RawDuration>,
    /// Between two pieces of a body, in either direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) idle: Option<RawDuration>,
    /// Silence of both sides of an upgraded connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) tunnel: Option<RawDuration>,
    /// From the request that is forwarded to the last byte of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDuration")]
    pub(in crate::config) total: Option<RawDuration>,
}

/// One value or several, any of which will do; none: any value will do.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum RawValues {
    One(String),
    Several(Vec<String>),
}

impl RawValues {
    pub(in crate::config) fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

impl JsonSchema for RawValues {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value, a regular expression after ~, or a list of them; an empty list admits any value.",
            "type": ["string", "array"],
            "items": {"type": "string"},
            "examples": ["v2", "~^v[0-9]+$", ["a", "b"], []],
            EXPECTS: "a text, or a list of texts",
        })
    }
}

fn any_path() -> Vec<String> {
    vec!["/".to_owned()]
}

fn websocket() -> Vec<String> {
    vec!["websocket".to_owned()]
}

fn permanent() -> u16 {
    308
}

fn ok() -> u16 {
    200
}

fn all() -> u64 {
    100
}

fn some() -> u64 {
    64
}

fn small() -> RawSize {
    RawSize::Text("64KiB".to_owned())
}
