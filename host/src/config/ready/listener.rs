//! Where clients and operators connect.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{ListenerTls, Secret};
use crate::endpoint::Endpoint;

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
