//! What the file says about upstreams that fail, and about more than there is room for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawDuration, RawSize};

/// What the process takes at most; who comes beyond it is told to come again.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Overload")]
pub(in crate::config) struct RawOverload {
    /// Exchanges that run at once; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1, max = 100_000_000))]
    pub(in crate::config) requests: Option<u64>,
    /// Memory of the process that is resident; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawSize")]
    pub(in crate::config) memory: Option<RawSize>,
    /// After how long clients are asked to come again (`Retry-After`).
    pub(in crate::config) retry_after: RawDuration,
}

/// How many requests run at once in the whole process.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Concurrency")]
pub(in crate::config) struct RawConcurrency {
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) requests: u64,
    /// How many more may wait; the others are answered with 503.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::config) queue: u64,
    /// How long they wait.
    #[serde(default = "second")]
    pub(in crate::config) wait: RawDuration,
}

/// When an upstream that fails is left alone for a while.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpstreamBreaker")]
pub(in crate::config) struct RawUpstreamBreaker {
    /// Percent of the requests in the window that fail.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) failures: u64,
    /// With fewer requests in the window it never opens.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) requests: u64,
    /// How far back it looks.
    pub(in crate::config) window: RawDuration,
    /// How long it stays open.
    pub(in crate::config) open: RawDuration,
    /// How many requests then try the upstream; all of them must succeed.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) trials: u64,
    /// Statuses that count as failures, beside answers that never came.
    pub(in crate::config) statuses: Vec<String>,
    /// The answer while it is open; the gateway's own 503 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawFallback")]
    pub(in crate::config) fallback: Option<RawFallback>,
}

/// The answer in place of an upstream's.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fallback")]
pub(in crate::config) struct RawFallback {
    /// Its status.
    #[serde(default = "unavailable")]
    #[schemars(range(min = 200, max = 599))]
    pub(in crate::config) status: u16,
    /// Its headers.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// Its body; `text/plain` unless a header says otherwise.
    #[serde(default)]
    pub(in crate::config) body: String,
}

/// When a request is sent again.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retries")]
pub(in crate::config) struct RawRetries {
    /// How often, at most.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) attempts: u64,
    /// After what: `connect` (no connection), `reset` (no answer), `timeout` (none in time), and statuses of answers such
    /// as `502` or `502-504`.
    pub(in crate::config) on: Vec<String>,
    /// How many percent of the requests may be retries.
    #[schemars(range(min = 0, max = 1000))]
    pub(in crate::config) budget: u64,
    /// The first pause at most; twice as long each time, and each a random part of it.
    pub(in crate::config) backoff: RawDuration,
    /// The longest pause.
    pub(in crate::config) max_backoff: RawDuration,
    /// Bytes of a request body that are kept for it; requests with longer ones are sent once.
    pub(in crate::config) body_bytes: RawSize,
}

impl Default for RawOverload {
    fn default() -> Self {
        Self {
            requests: None,
            memory: None,
            retry_after: RawDuration::new("1s"),
        }
    }
}

impl Default for RawUpstreamBreaker {
    fn default() -> Self {
        Self {
            failures: 50,
            requests: 20,
            window: RawDuration::new("10s"),
            open: RawDuration::new("5s"),
            trials: 3,
            statuses: vec!["500-599".to_owned()],
            fallback: None,
        }
    }
}

impl Default for RawRetries {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: ["connect", "reset"].map(str::to_owned).to_vec(),
            budget: 20,
            backoff: RawDuration::new("25ms"),
            max_backoff: RawDuration::new("250ms"),
            body_bytes: RawSize::Text("64KiB".to_owned()),
        }
    }
}

fn second() -> RawDuration {
    RawDuration::new("1s")
}

fn unavailable() -> u16 {
    503
}
