//! What plugins may see and change of one exchange, and the rules for it.
//!
//! This room is plain data and checks: it calls no plugin and opens no socket. `plugin::ffi` shows it to plugins
//! through the contract; `exchange` fills it and reads it back. Nothing here is shared between threads.
//!
//! - [`Context`]: the data of one exchange;
//! - [`Frame`]: a context together with what it was matched against, for the length of one hook;
//! - `attribute`, `access` and `choice`: what a hook may read and change of it, and when;
//! - [`connection`]: what is known of the connection it came on;
//! - [`headers`]: which headers a plugin may touch; [`client_headers`]: which of a client's count;
//! - [`operation`]: what a hook begins and is told of later; [`scope`]: those and the wake tokens that hooks asked for;
//! - [`body`]: the bodies of both lanes, on their way through the plugins;
//! - [`trailers`]: which fields may stand after a body;
//! - `vars`: variables shared between plugins.

mod access;
mod attribute;
pub mod body;
mod choice;
pub mod client_headers;
pub mod connection;
mod denied;
pub mod headers;
#[cfg(debug_assertions)]
pub mod lent;
mod name;
pub mod operation;
mod phase;
pub mod scope;
pub mod trailers;
mod vars;

use std::cell::OnceCell;
use std::ffi::c_void;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

pub use attribute::{Attribute, Number};
pub use body::{Bodies, Keeper};
pub use choice::{Choice, Leads};
pub use connection::Connection;
pub use denied::Denied;
pub use name::{HostName, RequestId};
pub use phase::{LANES, Lane, PHASES, Phase};
pub use scope::Scope;
pub use vars::Vars;

use crate::endpoint::Endpoint;
use crate::router::table::{Params, Table};

/// The data of one exchange that plugins can reach.
#[derive(Debug)]
pub struct Context {
    /// Names the exchange at the contract; never used twice in a process.
    pub token: u64,
    /// The id in logs and answers.
    pub request_id: RequestId,
    /// Request method.
    pub method: Method,
    /// The protocol it was read in.
    pub version: Version,
    /// Host the client asked for.
    pub host: HostName,
    /// The target as the client sent it.
    target: http::Uri,
    /// The path, where its normal form differs from what the client sent, or where a plugin set it.
    path: Option<Box<str>>,
    /// The query, where a plugin set it.
    query: Option<Box<str>>,
    /// Request headers, hop-by-hop fields already gone.
    pub request_headers: HeaderMap,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// This end of the connection.
    pub local: SocketAddr,
    /// The client, as trusted proxies report it.
    pub client: IpAddr,
    /// What else is known of the connection.
    pub connection: Rc<Connection>,
    /// Parameters of the matched pattern.
    pub params: Params,
    /// The consumer an authenticating plugin named.
    pub consumer: Option<Box<str>>,
    /// Variables shared between plugins.
    pub vars: Vars,
    /// State that instances left in this exchange.
    pub states: Vec<State>,
    /// Head of the answer, once there is one.
    pub response: Option<ResponseHead>,
    /// The answer a plugin made instead of the upstream.
    pub answer: Option<Answer>,
    /// Why the running hook is about to fail.
    pub error: Option<String>,
    /// Operations and wake tokens, from the first on.
    pub scope: Option<Box<Scope>>,
    /// The bodies of both lanes, where plugins take part in them.
    pub bodies: Bodies,
    /// Where a plugin wants the request to go, instead of the service of the route.
    pub choice: Option<Choice>,
    /// Whether the request was sent on.
    pub forwarded: bool,
    /// Figures for the log phase.
    pub figures: Figures,
    /// Views lent to plugins.
    #[cfg(debug_assertions)]
    pub lent: lent::Lent,
    texts: OnceCell<Box<Texts>>,
}

/// Head of an answer.
#[derive(Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, hop-by-hop fields already gone.
    pub headers: HeaderMap,
}

/// An answer that a plugin made.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: ResponseHead,
    /// Its body.
    pub body: Bytes,
}

/// Figures that are known when the exchange is over.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    /// Body bytes received from the client.
    pub request_bytes: u64,
    /// Body bytes sent to the client.
    pub response_bytes: u64,
    /// From the parsed head to the end of the answer.
    pub duration: Duration,
    /// From the choice of a target to the head of its answer.
    pub upstream: Option<Duration>,
    /// The target that answered.
    pub target: Option<Endpoint>,
}

/// A state that one instance left in the exchange. The memory belongs to the plugin.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Which instance: the address of its record in the gateway.
    pub owner: usize,
    /// What it left.
    pub pointer: *mut c_void,
    /// How it wants it released.
    pub release: Option<swapgate_abi::ReleaseFn>,
}

/// Address texts, made when first asked for.
#[derive(Debug, Default)]
struct Texts {
    client: OnceCell<Box<str>>,
    peer: OnceCell<Box<str>>,
    local: OnceCell<Box<str>>,
    target: OnceCell<Box<str>>,
}

/// What the router said about an exchange, by name.
#[derive(Debug, Clone, Copy)]
pub struct RouteNames<'a> {
    /// Name of the route.
    pub route: &'a str,
    /// The number under which it is marked.
    pub mark: u32,
    /// Name of its service; none where the gateway answers itself.
    pub service: Option<&'a str>,
}

/// A context for the length of one hook.
pub struct Frame<'a> {
    /// The exchange.
    pub context: &'a mut Context,
    /// The table its parameters belong to.
    pub table: &'a Table,
    /// The matched route.
    pub names: Option<RouteNames<'a>>,
    /// Where the request may go, if the route forwards it.
    pub leads: Option<&'a dyn Leads>,
    /// The running phase; for an event that of the hook that waits.
    pub phase: Phase,
    /// The lane it belongs to.
    pub lane: Lane,
    /// The running instance; see [`State::owner`].
    pub owner: usize,
    /// Whether operations may begin.
    pub waits: Waits,
    /// What keeps the image of the running instance mapped; none in a preflight.
    pub keeper: Option<&'a dyn Keeper>,
}

/// Whether operations may begin, and wake tokens be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// They would never be told: there is no `on_event`, or it comes too late for one.
    Never,
    /// They may.
    May,
    /// This is a preflight: nothing is begun.
    Preflight,
}

impl Context {
    /// Starts the context of one exchange.
    #[must_use]
    pub fn new(
        token: u64,
        request_id: RequestId,
        target: http::Uri,
        method: Method,
        headers: HeaderMap,
        ends: Ends,
    ) -> Self {
        Self {
            token,
            request_id,
            method,
            version: Version::HTTP_11,
            host: HostName::default(),
            target,
            path: None,
            query: None,
            request_headers: headers,
            peer: ends.peer,
            local: ends.local,
            client: ends.client,
            connection: ends.connection,
            params: Params::default(),
            consumer: None,
            vars: Vars::default(),
            states: Vec::new(),
            response: None,
            answer: None,
            error: None,
            scope: None,
            bodies: Bodies::default(),
            choice: None,
            forwarded: false,
            figures: Figures::default(),
            #[cfg(debug_assertions)]
            lent: lent::Lent::default(),
            texts: OnceCell::new(),
        }
    }

    /// The path in its normal form.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(self.target.path())
    }

    /// The query, empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.query.as_deref().or(self.target.query()).unwrap_or("")
    }

    /// The target as the client sent it.
    #[must_use]
    pub fn target(&self) -> &http::Uri {
        &self.target
    }

    /// The target as the client sent it, if neither path nor query were changed since.
    #[must_use]
    pub fn unchanged_target(&self) -> Option<&http::Uri> {
        (self.path.is_none() && self.query.is_none()).then_some(&self.target)
    }

    /// Replaces the path by another one in normal form.
    pub fn set_path(&mut self, path: Box<str>) {
        self.path = Some(path);
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(Box::default)
    }

    /// Replaces the query.
    pub fn set_query(&mut self, query: Box<str>) {
        self.query = Some(query);
    }
}

/// The connection an exchange came on.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// This end of the connection.
    pub local: SocketAddr,
    /// The client, as trusted proxies report it.
    pub client: IpAddr,
    /// What else is known of the connection.
    pub connection: Rc<Connection>,
}
