//! Metrics of a plugin: counters, gauges and histograms that the gateway shows at its `/metrics`.
//!
//! Each is declared once, in [`Plugin::configure`](crate::Plugin::configure) as a rule, with all its labels; what comes out
//! is a handle that is copied freely and used from any thread. Adding is a call, a look into a table, and an addition: no
//! lock, and workers do not share what they write.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use swapgate_plugin::{Access, AccessCall, ConfigError, Counter, Error, Flow, Histogram, Plugin};
//!
//! struct Sizes {
//!     with_query: Counter,
//!     without: Counter,
//!     length: Histogram,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config {}
//!
//! impl Plugin for Sizes {
//!     type Config = Config;
//!
//!     fn configure(_: Config) -> Result<Self, ConfigError> {
//!         let help = "Requests looked at.";
//!         Ok(Self {
//!             with_query: Counter::declare("requests", help, &[("query", "yes")])?,
//!             without: Counter::declare("requests", help, &[("query", "no")])?,
//!             length: Histogram::declare("path_bytes", "Length of paths.", &[], &[16.0, 64.0, 256.0])?,
//!         })
//!     }
//! }
//!
//! impl Access for Sizes {
//!     fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
//!         let seen = if request.query().is_empty() { self.without } else { self.with_query };
//!         seen.inc();
//!         self.length.observe(request.path().len() as f64);
//!         Ok(Flow::Continue)
//!     }
//! }
//!
//! swapgate_plugin::export!(Sizes, id = "sizes");
//!
//! // A test reads them back.
//! use swapgate_plugin::testing::{Exchange, Host};
//!
//! let host = Host::of::<Sizes>();
//! let instance = host.configure("{}").unwrap();
//! let _ = instance.run(Exchange::new().path("/a?b=c"));
//! assert_eq!(host.metric("requests", &[("query", "yes")]).unwrap().value, 1.0);
//! assert_eq!(host.metric("path_bytes", &[]).unwrap().count, 1);
//! ```
//!
//! The gateway shows the first of them as `swapgate_plugin_sizes_requests_total{query="yes"}`. Whatever declares the same
//! name and labels again, another instance or the next version of the plugin, gets the same series: a count survives a
//! swap. So a name keeps its kind, its bounds and the names of its labels; a version that wants others takes another name.
//! Labels should come from a closed set and never from a request; an image may declare 256 series.

use std::fmt;

use super::call::metric::RawMetric;
use super::error::ConfigError;
use crate::metric::Kind;
use crate::status::HostError;

/// The gateway did not take a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclareError {
    name: String,
    error: HostError,
}

impl DeclareError {
    /// What the gateway answered.
    #[must_use]
    pub fn error(&self) -> HostError {
        self.error
    }
}

impl fmt::Display for DeclareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, error) = (&self.name, self.error);
        let why = match error {
            HostError::Invalid => {
                "its name, labels or bounds are malformed, or the name is taken by a metric of another kind"
            }
            HostError::TooLarge => "it is too long, or there are too many",
            HostError::WrongPhase => {
                "metrics are declared in load, configure or start, not in a hook"
            }
            _ => "the gateway said no",
        };
        write!(f, "the metric {name} cannot be declared: {why} ({error})")
    }
}

impl std::error::Error for DeclareError {}

impl From<DeclareError> for ConfigError {
    fn from(error: DeclareError) -> Self {
        Self::new(error)
    }
}

fn declare(
    kind: Kind,
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    bounds: &[f64],
) -> Result<RawMetric, DeclareError> {
    RawMetric::declare(kind, name, help, labels, bounds).map_err(|error| DeclareError {
        name: name.to_owned(),
        error,
    })
}

/// A number that only grows.
#[derive(Debug, Clone, Copy)]
pub struct Counter(RawMetric);

impl Counter {
    /// Declares one series, in `load`, `configure` or `start`. The gateway adds `_total` to its name.
    ///
    /// # Errors
    ///
    /// Why the gateway does not take it; see `metric_declare` in `swapgate.h`.
    pub fn declare(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Self, DeclareError> {
        declare(Kind::Counter, name, help, labels, &[]).map(Self)
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Adds a number; one that is negative or not finite is not counted.
    pub fn add(&self, value: f64) {
        let _ = self.0.add(value);
    }

    /// The functions of the contract as they are.
    #[must_use]
    pub fn raw(self) -> RawMetric {
        self.0
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Copy)]
pub struct Gauge(RawMetric);

impl Gauge {
    /// Declares one series, in `load`, `configure` or `start`.
    ///
    /// # Errors
    ///
    /// Why the gateway does not take it; see `metric_declare` in `swapgate.h`.
    pub fn declare(name: &str, help: &str, labels: &[(&str, &str)]) -> Result<Self, DeclareError> {
        declare(Kind::Gauge, name, help, labels, &[]).map(Self)
    }

    /// Sets it; a number that is not finite changes nothing.
    pub fn set(&self, value: f64) {
        let _ = self.0.set(value);
    }

    /// Adds a number, which may be negative; one that is not finite changes nothing.
    pub fn add(&self, value: f64) {
        let _ = self.0.add(value);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Takes one off.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// The functions of the contract as they are.
    #[must_use]
    pub fn raw(self) -> RawMetric {
        self.0
    }
}

/// Observations, counted by upper bounds.
#[derive(Debug, Clone, Copy)]
pub struct Histogram(RawMetric);

impl Histogram {
    /// Declares one series, in `load`, `configure` or `start`. `bounds` ascend; the last bucket, without a bound, is added
    /// by the gateway.
    ///
    /// # Errors
    ///
    /// Why the gateway does not take it; see `metric_declare` in `swapgate.h`.
    pub fn declare(
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Self, DeclareError> {
        declare(Kind::Histogram, name, help, labels, bounds).map(Self)
    }

    /// Counts one observation; one that is not finite is not counted.
    pub fn observe(&self, value: f64) {
        let _ = self.0.observe(value);
    }

    /// The functions of the contract as they are.
    #[must_use]
    pub fn raw(self) -> RawMetric {
        self.0
    }
}
