//! What the file says about the health of targets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawDuration;

/// How it is known which targets can be used.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Health")]
pub(in crate::config) struct RawHealth {
    /// Targets are asked; not unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawActiveHealth")]
    pub(in crate::config) active: Option<RawActiveHealth>,
    /// Targets are judged by their answers; not unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawPassiveHealth")]
    pub(in crate::config) passive: Option<RawPassiveHealth>,
}

/// How targets are asked whether they are well.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ActiveHealth")]
pub(in crate::config) struct RawActiveHealth {
    /// With what: `http` (a GET), `tcp` (a connect) or `grpc` (`grpc.health.v1.Health/Check`).
    #[serde(rename = "type")]
    pub(in crate::config) kind: RawHealthCheck,
    /// The path that `http` asks for.
    pub(in crate::config) path: String,
    /// The `Host` that `http` and `grpc` send; the target's address unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) host: Option<String>,
    /// The service that `grpc` asks about; the whole server unless set.
    pub(in crate::config) service: String,
    /// Statuses with which `http` is content: numbers and ranges such as `200-299`.
    #[schemars(length(min = 1))]
    pub(in crate::config) statuses: Vec<String>,
    /// From one check of a target to the next.
    pub(in crate::config) interval: RawDuration,
    /// How long a check may take.
    pub(in crate::config) timeout: RawDuration,
    /// By how many percent each interval is shortened or lengthened at random.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) jitter: u64,
    /// Good checks in a row after which a target is used again.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) healthy: u64,
    /// Bad checks in a row after which a target is used no more.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) unhealthy: u64,
}

/// When a target is left alone because of its answers.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PassiveHealth")]
pub(in crate::config) struct RawPassiveHealth {
    /// Failures in a row after which a target is ejected.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) failures: u64,
    /// Statuses that count as failures, beside answers that never came.
    pub(in crate::config) statuses: Vec<String>,
    /// For how long at first; twice as long each time it follows soon after the last one.
    pub(in crate::config) eject: RawDuration,
    /// For how long at most.
    pub(in crate::config) max_eject: RawDuration,
    /// How many percent of the targets may be ejected at a time; one always may.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) max_ejected: u64,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HealthCheck")]
pub(in crate::config) enum RawHealthCheck {
    #[default]
    Http,
    Tcp,
    Grpc,
}

impl Default for RawActiveHealth {
    fn default() -> Self {
        Self {
            kind: RawHealthCheck::Http,
            path: "/".to_owned(),
            host: None,
            service: String::new(),
            statuses: vec!["200-399".to_owned()],
            interval: RawDuration::new("5s"),
            timeout: RawDuration::new("2s"),
            jitter: 10,
            healthy: 2,
            unhealthy: 3,
        }
    }
}

impl Default for RawPassiveHealth {
    fn default() -> Self {
        Self {
            failures: 5,
            statuses: vec!["502-504".to_owned()],
            eject: RawDuration::new("10s"),
            max_eject: RawDuration::new("5m"),
            max_ejected: 50,
        }
    }
}
