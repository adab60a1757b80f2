//! Routes: what they take, and what they do with it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::{Concurrency, Mirror, PluginUse, Retries, ServiceTimeouts, Split};
use crate::router::condition::Conditions;
use crate::router::pattern::{HostPattern, PathPattern};
use crate::router::template::Template;

/// Which request goes where.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; unique.
    pub name: Arc<str>,
    /// What it does with a request once its plugins admitted it.
    pub action: Action,
    /// Hosts it serves; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Paths it serves; never empty (any path is the prefix `/`).
    pub paths: Vec<PathPattern>,
    /// Methods it serves; empty: any. `HEAD` is admitted where `GET` is.
    pub methods: Vec<Method>,
    /// Headers, query parameters, cookies and client addresses it asks for.
    pub conditions: Conditions,
    /// Wins over everything else; 0 unless set.
    pub priority: i32,
    /// Orders regular expressions among each other; 0 unless set.
    pub regex_priority: i32,
    /// Bytes of a request body, where the route has a limit of its own.
    pub body_bytes: Option<u64>,
    /// Plugins attached to the route.
    pub plugins: Vec<PluginUse>,
}

impl Route {
    /// Index into [`Config::services`](super::Config::services) of the service it forwards to.
    #[must_use]
    pub fn service(&self) -> Option<usize> {
        match &self.action {
            Action::Forward(forward) => Some(forward.service),
            Action::Redirect(_) | Action::Respond(_) => None,
        }
    }
}

/// What a route does with a request once its plugins admitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends it to a service.
    Forward(Forward),
    /// Sends the client elsewhere.
    Redirect(Redirect),
    /// Answers it, always the same.
    Respond(Respond),
}

/// How a request is sent to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Index into [`Config::services`](super::Config::services).
    pub service: usize,
    /// Which path the upstream sees.
    pub path: ForwardPath,
    /// Whether the upstream sees the client's `Host`, or the name or address of the target.
    pub preserve_host: bool,
    /// Protocols a connection may change over to, in lower case.
    pub upgrades: Vec<Box<str>>,
    /// How long the upstream may take: the service's limits, where the route has none of its own.
    pub timeouts: ServiceTimeouts,
    /// When a request is sent again: as the service says, where the route says nothing.
    pub retries: Option<Arc<Retries>>,
    /// How many requests the route forwards at once.
    pub concurrency: Option<Concurrency>,
    /// Upstreams that share its requests by weight, in place of the service's; empty: the service's.
    pub split: Vec<Split>,
    /// An upstream that gets copies of requests.
    pub mirror: Option<Mirror>,
}

/// Which path the upstream sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPath {
    /// The one that was matched.
    Keep,
    /// That one without the matched prefix.
    Strip,
    /// Another one.
    Rewrite(Template),
}

/// Where a client is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// The value of `Location`.
    pub location: Template,
}

/// An answer that is always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: StatusCode,
    /// Its headers, none of which is about framing.
    pub headers: HeaderMap,
    /// Its body; empty where the status admits none.
    pub body: Bytes,
}
