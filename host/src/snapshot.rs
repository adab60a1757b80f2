//! The immutable state that serves: everything a worker needs for a request, and nothing it would have to look up.
//!
//! Control builds a snapshot and sends it to every worker. A worker wraps it (see `worker::state`) and keeps it in an
//! `Rc`, an exchange clones that `Rc` and so keeps what it started with. Here both sides of the house meet.

mod command;
mod farewell;
pub mod leads;
mod listen;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderValue;
use ipnet::IpNet;

use crate::admission::{Admission, Fuse, Limit};
use crate::chain::Chain;
pub use crate::config::ready::{Action, Forward, ForwardPath, Redirect, Respond};
use crate::config::ready::{AllowedAddress, ClientHeaders, ClientTimeouts, Limits, Overload};
use crate::context;
use crate::endpoint::Endpoint;
use crate::metrics::mirror::Mirrored;
use crate::metrics::route::Account;
use crate::router::table::Table;
use crate::upstream::target::plain;
pub use crate::upstream::target::{Target, TargetAccount, Upstream, secured};

pub use command::{Command, Report};
pub use farewell::{Farewell, Left};
pub use listen::{Kept, Proxy, Secure, Socket, Speech};

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
