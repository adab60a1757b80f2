//! The immutable state that serves: everything a worker needs for a request, and nothing it would have to look up.
//!
//! Control builds a snapshot and sends it to every worker. A worker wraps it (see `worker::state`) and keeps it in an
//! `Rc`, an exchange clones that `Rc` and so keeps what it started with. Here both sides of the house meet.

pub mod leads;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use crate::admission::{Admission, Fuse, Limit};
use crate::chain::Chain;
pub use crate::config::ready::{Action, Forward, ForwardPath, Redirect, Respond};
use crate::config::ready::{
    AllowedAddress, Balance, ClientHeaders, ClientTimeouts, Health, Limits, Overload, Protocols,
};
use crate::context;
use crate::endpoint::Endpoint;
use crate::health::TargetHealth;
use crate::metrics::handshake::Handshakes;
use crate::metrics::mirror::Mirrored;
use crate::metrics::proxy::Failures;
use crate::metrics::retries::Retried;
use crate::metrics::route::Account;
use crate::metrics::traffic::{Attempts, Connections};
use crate::router::table::Table;
use crate::socket::listening::Listening;
use crate::tls::choice::Choice;
use crate::upstream::balance::Ring;
use crate::upstream::manner::Manner;

/// One generation.
pub struct Snapshot {
    /// Counts up with every change.
    pub generation: u64,
    /// What holds for every exchange.
    pub settings: Settings,
    /// Finds the route.
    pub table: Arc<Table>,
    /// In the order of the table's indices.
    pub routes: Vec<Route>,
    /// Indices of the routes whose requests are split or copied, upwards.
    pub shared: Vec<usize>,
    /// What routes lead to.
    pub services: Vec<Service>,
    /// Where each service stands, by name.
    pub service_names: HashMap<Arc<str>, usize>,
    /// Counts what plugins send to other addresses than targets.
    pub elsewhere: TargetAccount,
    /// Addresses that get nothing in clear, whatever plugins choose; see [`secured`].
    pub secured: HashSet<(IpAddr, u16)>,
    /// Groups of targets.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What runs before routing and where no route matched.
    pub global: Plan,
    /// Counts exchanges that no route matched.
    pub account: Arc<Account>,
    /// Who is let in, whatever generation asks.
    pub admission: Arc<Admission>,
}

impl context::Leads for Snapshot {
    fn service(&self, name: &str) -> Option<usize> {
        self.service_names.get(name).copied()
    }

    fn target(&self, service: usize, address: &Endpoint) -> Option<usize> {
        let upstream = self.upstreams.get(self.services.get(service)?.upstream)?;
        let mut targets = upstream.targets.iter();
        targets.position(|target| target.address == *address)
    }

    fn admits(&self, address: SocketAddr) -> bool {
        let mut allowed = self.settings.upstream_allow.iter();
        allowed.any(|allowed| allowed.admits(address)) && !self.secured.contains(&plain(address))
    }
}

/// The same address in the same words: one of IPv4 may be written as one of IPv6.
fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// The addresses of targets that are spoken to in TLS.
#[must_use]
pub fn secured(upstreams: &[Arc<Upstream>]) -> HashSet<(IpAddr, u16)> {
    let upstreams = upstreams.iter().filter(|one| one.manner.tls.is_some());
    let targets = upstreams.flat_map(|upstream| &upstream.targets);
    targets
        .filter_map(|target| target.address.tcp())
        .map(plain)
        .collect()
}

impl Snapshot {
    /// From now on its limits hold, for whatever generation.
    pub fn enforce(&self) {
        let routes = self.routes.iter().filter_map(|route| route.limit.as_ref());
        let upstreams = self.upstreams.iter().filter_map(|one| one.limit.as_ref());
        routes.chain(upstreams).for_each(Limit::enforce);
        let fuses = self.upstreams.iter().filter_map(|one| one.fuse.as_ref());
        fuses.for_each(Fuse::enforce);
        let overload = &self.admission.overload;
        overload.set_memory(self.settings.overload.memory);
    }
}

/// What holds for every exchange.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What one client may use.
    pub limits: Limits,
    /// A worker's share of the connections the process admits.
    pub connections_per_worker: usize,
    /// How many more are let in to be told to come again.
    pub surplus_per_worker: usize,
    /// What the whole process takes.
    pub overload: Overload,
    /// How long a client may take.
    pub client_timeouts: ClientTimeouts,
    /// Addresses whose forwarding headers are believed.
    pub trusted_addresses: Vec<IpNet>,
    /// Addresses beside the configured targets that plugins may send requests to.
    pub upstream_allow: Vec<AllowedAddress>,
    /// What is added to `Via` (RFC 9110, 7.6.3), version and pseudonym.
    pub via: Option<HeaderValue>,
    /// Whether repeated slashes become one.
    pub merge_slashes: bool,
    /// Which headers of clients count.
    pub client_headers: ClientHeaders,
}

/// The plugins of a route, or why it cannot be served.
#[derive(Default)]
pub struct Plan {
    /// What runs.
    pub chain: Chain,
    /// Why nothing is forwarded: a plugin it names is not there.
    pub unavailable: Option<String>,
    /// What is kept of an exchange although it was passed on.
    pub keep: Keep,
}

/// What is kept of an exchange although it was passed on, because a later hook may read it. Keeping is a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// The request's headers.
    pub request: bool,
    /// The answer's headers.
    pub answer: bool,
}

/// One route.
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The number under which its name is marked.
    pub mark: u32,
    /// What it does with a request once its plugins admitted it.
    pub action: Action,
    /// Bytes of a request body.
    pub body_bytes: u64,
    /// Its plugins.
    pub plan: Plan,
    /// Counts its exchanges.
    pub account: Arc<Account>,
    /// How many requests it forwards at once.
    pub limit: Option<Limit>,
    /// Counts the copies of its requests, if there are any.
    pub mirrored: Option<Arc<Mirrored>>,
}

impl Route {
    /// Whether its requests are split or copied.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.action {
            Action::Forward(forward) => !forward.split.is_empty() || forward.mirror.is_some(),
            Action::Redirect(_) | Action::Respond(_) => false,
        }
    }
}

/// One service.
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Index into [`Snapshot::upstreams`].
    pub upstream: usize,
}

/// A group of targets.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// How a target is chosen.
    pub balance: Balance,
    /// How its targets are spoken to.
    pub manner: Manner,
    /// Empty while names lead nowhere.
    pub targets: Vec<Target>,
    /// What a consistent hash finds them by.
    pub ring: Ring,
    /// How it is known which of them can be used.
    pub health: Health,
    /// How many requests it gets at once.
    pub limit: Option<Limit>,
    /// When it is left alone for a while because it fails.
    pub fuse: Option<Fuse>,
}

impl Upstream {
    /// A single address that a plugin chose, in HTTP/1.1 without TLS.
    #[must_use]
    pub fn alone(address: Endpoint, account: TargetAccount) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(""),
            balance: Balance::default(),
            manner: Manner::PLAIN,
            targets: vec![Target {
                address,
                name: None,
                weight: 1,
                priority: 0,
                account,
            }],
            ring: Ring::default(),
            health: Health::default(),
            limit: None,
            fuse: None,
        })
    }
}

/// One server.
#[derive(Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Endpoint,
    /// The name that led there, if one did.
    pub name: Option<Arc<str>>,
    /// Its share, 1 to 1000.
    pub weight: u32,
    /// Its tier; those of 0 are used first.
    pub priority: u8,
    /// What is known of it and counted.
    pub account: TargetAccount,
}

/// What is known of a target, and counted.
#[derive(Debug, Clone)]
pub struct TargetAccount {
    /// Whether it can be used, for this upstream.
    pub health: Arc<TargetHealth>,
    /// Attempts to get an answer, for this upstream.
    pub attempts: Arc<Attempts>,
    /// Retries, at all targets of this upstream.
    pub retried: Arc<Retried>,
    /// Connections, whatever upstream they are for.
    pub connections: Arc<Connections>,
}

/// What control says to a worker.
pub enum Command {
    /// Accept from the sockets it was started with.
    Accept,
    /// Serve this from now on.
    Publish {
        /// The new generation.
        snapshot: Arc<Snapshot>,
        /// Sockets to accept from, already bound and listening.
        listen: Vec<Socket>,
        /// The listeners that keep their sockets, by the names they have now.
        kept: Vec<Kept>,
        /// Listeners to accept from no longer, once their queue is empty; by the address they were configured with.
        unlisten: Vec<Endpoint>,
        /// How long what began before may run on, where that has a limit.
        before: Option<Duration>,
    },
    /// Stop accepting, let running exchanges end, then end.
    Drain(Farewell),
    /// The time for that is over: end what still runs.
    Cut,
}

/// What is left to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Connections of clients.
    pub connections: usize,
    /// Exchanges, without those that became tunnels.
    pub exchanges: usize,
    /// Connections and streams that changed over to another protocol.
    pub tunnels: usize,
}

impl std::ops::Add for Left {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            exchanges: self.exchanges + other.exchanges,
            tunnels: self.tunnels + other.tunnels,
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = |count: usize| if count == 1 { "" } else { "s" };
        let Self {
            connections,
            exchanges,
            tunnels,
        } = *self;
        write!(
            f,
            "{exchanges} exchange{}, {tunnels} tunnel{} and {connections} connection{}",
            many(exchanges),
            many(tunnels),
            many(connections)
        )
    }
}

/// How a process leaves.
#[derive(Debug, Clone, Default)]
pub struct Farewell {
    /// Listeners from which another process accepts now: what waits in their queues is its own.
    pub to_another: Arc<HashSet<Endpoint>>,
    /// Whether clients find somebody else at once. Then a connection that is kept for another request may still bring it, and
    /// the answer says that it was the last; one that is closed under a client may cost it the request it just sent.
    pub patient: bool,
}

impl Farewell {
    /// Another process accepts from these listeners now.
    #[must_use]
    pub fn to_another(listeners: HashSet<Endpoint>) -> Self {
        Self {
            to_another: Arc::new(listeners),
            patient: true,
        }
    }
}

/// How the connections of a listener are spoken with.
#[derive(Debug, Clone)]
pub struct Speech {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// What it speaks.
    pub protocols: Protocols,
    /// Whether connections begin with a PROXY header, or may.
    pub proxy: Option<Proxy>,
    /// What TLS needs, where it is spoken.
    pub tls: Option<Secure>,
}

/// What a TLS handshake needs.
#[derive(Debug, Clone)]
pub struct Secure {
    /// What the library needs.
    pub config: Arc<rustls::ServerConfig>,
    /// Which certificate belongs to a name.
    pub choice: Arc<Choice>,
    /// Whether clients are asked for a certificate.
    pub asks_clients: bool,
    /// Counts the handshakes.
    pub handshakes: Arc<Handshakes>,
}

/// What a listener expects of PROXY headers.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Every connection has one.
    pub required: bool,
    /// Counts those that are not served.
    pub failures: Arc<Failures>,
}

/// A listener that keeps its socket; how it speaks may have changed, and its name.
#[derive(Debug, Clone)]
pub struct Kept {
    /// How it speaks from now on.
    pub speech: Arc<Speech>,
    /// The address it was configured with.
    pub address: Endpoint,
    /// Counts its connections from now on.
    pub connections: Arc<Connections>,
}

/// A listening socket for one worker.
#[derive(Debug)]
pub struct Socket {
    /// How its connections are spoken with.
    pub speech: Arc<Speech>,
    /// The address it was configured with, which is what tells it from others.
    pub address: Endpoint,
    /// The socket, non-blocking.
    pub socket: Listening,
    /// Counts its connections.
    pub connections: Arc<Connections>,
}

/// What a worker says to control.
pub enum Report {
    /// The worker serves this generation from now on.
    Adopted {
        /// Which worker.
        worker: usize,
        /// Which generation.
        generation: u64,
    },
    /// Nothing on the worker holds this generation any more.
    Released {
        /// Which worker.
        worker: usize,
        /// The generation itself, so that it is taken apart on a thread that has the time.
        snapshot: Arc<Snapshot>,
    },
    /// So much is left on a worker that drains.
    Left {
        /// Which worker.
        worker: usize,
        /// How much.
        left: Left,
    },
    /// The worker is drained and has ended.
    Drained {
        /// Which worker.
        worker: usize,
    },
    /// The worker panicked outside of its tasks and has ended.
    Failed {
        /// Which worker.
        worker: usize,
    },
}
