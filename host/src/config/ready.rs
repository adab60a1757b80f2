//! The configuration as the gateway uses it: checked, complete, without a value that could be wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use client::{ClientHeaders, ClientTimeouts, Identity, Limits, Underscores};
pub use life::{Drain, Process};
pub use listener::{Admin, Listener, Protocols, ProxyProtocol};
pub use loader::{Breaker, Faults, Loader, Permissions, UnloadPolicy};
pub use plugin::{OnError, OnStateRefusal, PluginUse};
pub use resilience::{
    ActiveHealth, Concurrency, Health, HealthCheck, Overload, PassiveHealth, Retries, RetryOn,
    Statuses, UpstreamBreaker,
};
pub use route::{Action, Forward, ForwardPath, Redirect, Respond, Route};
pub use tls::{Certificate, ClientCertificates, ListenerTls, NamedFile, UpstreamTls};
pub use upstream::{
    Algorithm, Balance, Dns, HashBy, Mirror, SRV, Split, Sticky, Target, TargetAddress, Upstream,
    UpstreamProtocol,
};

use crate::config::allow::AllowList;

mod client;
mod life;
mod listener;
mod loader;
mod plugin;
mod resilience;
mod route;
mod tls;
mod upstream;

/// Everything one configuration file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect; at least one, names and addresses unique.
    pub listeners: Vec<Listener>,
    /// The admin listener.
    pub admin: Admin,
    /// Number of worker threads; fixed for the process. One per core unless set.
    pub workers: usize,
    /// The watched folder, made absolute against the folder of the configuration file.
    pub plugins_dir: PathBuf,
    /// Where the gateway keeps images and verdicts, made absolute likewise.
    pub state_dir: PathBuf,
    /// How plugin files are admitted.
    pub loader: Loader,
    /// What becomes of plugins that go wrong while they serve.
    pub faults: Faults,
    /// What one client may use.
    pub limits: Limits,
    /// What the process takes at most.
    pub overload: Overload,
    /// How long a client may take.
    pub client_timeouts: ClientTimeouts,
    /// Which headers of clients count.
    pub client_headers: ClientHeaders,
    /// Addresses whose forwarding headers are believed.
    pub trusted_addresses: Vec<IpNet>,
    /// Addresses beside the configured targets that plugins may send requests to.
    pub upstream_allow: Vec<AllowedAddress>,
    /// The pseudonym for `Via` (RFC 9110, 7.6.3); none: no `Via` is added.
    pub via: Option<String>,
    /// Whether repeated slashes in a path become one before routing.
    pub merge_slashes: bool,
    /// When `/readyz` says yes.
    pub readiness: Readiness,
    /// How connections end.
    pub drain: Drain,
    /// As whom the process runs.
    pub process: Process,
    /// What is counted.
    pub metrics: Metrics,
    /// Values that plugins keep.
    pub kv: Kv,
    /// Whom plugins may call.
    pub callouts: Callouts,
    /// Threads for what takes long.
    pub blocking: Blocking,
    /// How names of targets are looked up.
    pub dns: Dns,
    /// Groups of targets.
    pub upstreams: Vec<Upstream>,
    /// What routes lead to.
    pub services: Vec<Service>,
    /// Which request goes where.
    pub routes: Vec<Route>,
    /// Plugins attached globally.
    pub plugins: Vec<PluginUse>,
    /// Where the settings stand that only a restart can change.
    pub places: Places,
}

/// Where the settings stand that only a restart can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `admin`.
    pub admin: Place,
    /// `plugins_dir`.
    pub plugins_dir: Place,
    /// `state_dir`.
    pub state_dir: Place,
    /// As whom the process runs.
    pub process: Place,
    /// `workers`.
    pub workers: Place,
}

/// A text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; for comparison and for plugins, never for a log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Addresses that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedAddress {
    /// In this network.
    pub network: IpNet,
    /// With this port; none: with any.
    pub port: Option<u16>,
}

impl AllowedAddress {
    /// Whether this address is one of them.
    #[must_use]
    pub fn admits(&self, address: SocketAddr) -> bool {
        let port = self.port.is_none_or(|port| port == address.port());
        port && self.network.contains(&address.ip().to_canonical())
    }
}

/// When `/readyz` says yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Once everything configured could be served; later failures of routes make it `degraded`.
    Normal,
    /// Only while everything configured can be served.
    Strict,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// How many routes have series of their own.
    pub max_routes: usize,
}

/// Values that plugins keep for all workers and across swaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kv {
    /// Bytes they may use in all.
    pub memory: u64,
}

impl Kv {
    /// The least memory a store may be given: a part must be able to hold the largest value.
    pub const LEAST_MEMORY: u64 = 32 << 20;
}

/// Whom plugins may call besides services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callouts {
    /// Hosts and ports.
    pub allow: AllowList,
}

/// Threads for functions of plugins that take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// How many there may be.
    pub threads: usize,
    /// How many functions may wait for one.
    pub queue: usize,
}

/// What routes lead to.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name; routes refer to it.
    pub name: Arc<str>,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    /// How long an upstream may take.
    pub timeouts: ServiceTimeouts,
    /// When a request is sent again; none: only where nothing was sent.
    pub retries: Option<Arc<Retries>>,
    /// Plugins attached to the service.
    pub plugins: Vec<PluginUse>,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTimeouts {
    /// To connect to one target.
    pub connect: Duration,
    /// From the sent request to the head of the answer.
    pub response: Duration,
    /// Between two pieces of a body, in either direction.
    pub idle: Duration,
    /// Silence of both sides of an upgraded connection.
    pub tunnel: Duration,
    /// From the request that is forwarded to the last byte of its answer.
    pub total: Option<Duration>,
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, such as `routes[0].plugins[1].config`.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.key
        )
    }
}
