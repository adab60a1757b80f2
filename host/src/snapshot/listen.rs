//! What a worker accepts from, and how it speaks with those that come.

use std::sync::Arc;

use crate::config::ready::Protocols;
use crate::endpoint::Endpoint;
use crate::metrics::handshake::Handshakes;
use crate::metrics::proxy::Failures;
use crate::metrics::traffic::Connections;
use crate::socket::listening::Listening;
use crate::tls::choice::Choice;

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
