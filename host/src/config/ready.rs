//! The configuration as the gateway uses it: checked, complete, without a value that could be wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use semver::VersionReq;

pub use client::{ClientHeaders, ClientTimeouts, Identity, Limits, Underscores};
pub use life::{Drain, Process};
pub use route::{Action, Forward, ForwardPath, Redirect, Respond, Route};
pub use tls::{Certificate, ClientCertificates, ListenerTls, NamedFile, UpstreamTls};
pub use upstream::{
    ActiveHealth, Algorithm, Balance, Concurrency, Dns, HashBy, Health, HealthCheck, Mirror,
    Overload, PassiveHealth, Retries, RetryOn, SRV, Split, Statuses, Sticky, Target, TargetAddress,
    Upstream, UpstreamBreaker, UpstreamProtocol,
};

use super::plugin::Origin;
use crate::endpoint::Endpoint;
use crate::ops::allow::AllowList;

mod client;
mod life;
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

/// One place where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in logs and status.
    pub name: Arc<str>,
    /// Where it binds.
    pub address: Endpoint,
    /// What it speaks.
    pub protocols: Protocols,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// How it speaks TLS, if it does.
    pub tls: Option<ListenerTls>,
}

/// What a listener speaks; at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1, and 1.0.
    pub http1: bool,
    /// HTTP/2.
    pub http2: bool,
}

/// Whether connections begin with a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None does.
    Off,
    /// Those of trusted addresses may.
    Optional,
    /// Only those of trusted addresses are taken, and all of them do.
    Required,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it binds.
    pub address: SocketAddr,
    /// The bearer token it asks for; always there when the address is not loopback.
    pub token: Option<Secret>,
    /// How many of the last refused requests are kept.
    pub refused: usize,
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

/// How plugin files are admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Who may be able to write to plugin files.
    pub permissions: Permissions,
    /// How long a preflight may take.
    pub preflight_timeout: Duration,
    /// How long one foreign control call (load, configure, start, destroy, unload) may take before it counts as stuck.
    pub call_timeout: Duration,
    /// When an image is unmapped.
    pub unload: UnloadPolicy,
    /// How many distinct images may stay mapped.
    pub max_images: usize,
    /// How many bytes an instance may hand over to the one that takes its place.
    pub state_bytes: usize,
}

/// Who may be able to write to plugin files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Neither group nor world.
    Strict,
    /// The group may.
    Relaxed,
}

/// When an image is unmapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnloadPolicy {
    /// When the file proves that nothing pins it.
    Auto,
    /// Never.
    Never,
}

/// What becomes of plugins that go wrong while they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// How long one call of a hook may take.
    pub hook_budget: Duration,
    /// When a version is left alone for a while.
    pub breaker: Breaker,
    /// How long a version that replaced another one is on probation.
    pub probation: Duration,
    /// Faults on probation after which the version before comes back; 0: never.
    pub return_after: u64,
    /// How long a worker of a supervised gateway may stand still.
    pub hung: Duration,
    /// Crashes after which a file is put into quarantine; 0: never.
    pub crashes: u64,
}

/// When a version that goes wrong again and again is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// So many faults open it; 0: it never opens.
    pub faults: usize,
    /// Within this time.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
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

/// One attachment of a plugin.
#[derive(Debug, Clone)]
pub struct PluginUse {
    /// Id of the plugin.
    pub name: Arc<str>,
    /// Which versions it admits.
    pub version: VersionReq,
    /// The configuration, as JSON text with secrets filled in. Never print it.
    pub config: Secret,
    /// What happens when the plugin fails.
    pub on_error: OnError,
    /// What happens when the state of the instance before would be lost.
    pub on_state_refusal: OnStateRefusal,
    /// Its place in every phase; none: what the plugin says.
    pub priority: Option<i32>,
    /// Where it stands in the file.
    pub place: Place,
    /// Where each value of the configuration stands; the default knows only [`PluginUse::place`].
    pub origin: Origin,
}

/// What happens when a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The exchange is answered with 500.
    Closed,
    /// The failed hook is passed over; after a panic the plugin is skipped for the rest of the exchange.
    Open,
}

/// What happens when the state of the instance before would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStateRefusal {
    /// The new instance begins empty, which is said.
    StartEmpty,
    /// The new instance does not serve: the one before stays, or the change is refused.
    KeepOld,
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
