//! Clients: what they may use, how long they may take, and which of their headers count.

use std::time::Duration;

pub use crate::context::client_headers::{ClientHeaders, Identity, Underscores};

/// What one client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head, request line included.
    pub header_bytes: usize,
    /// Bytes of a request target: path and query.
    pub uri_bytes: usize,
    /// Number of header fields.
    pub headers: usize,
    /// Bytes of a request body, unless the route says otherwise.
    pub body_bytes: u64,
    /// Open client connections in the whole process.
    pub connections: usize,
    /// Open connections of one client address in the whole process.
    pub connections_per_address: Option<usize>,
    /// Exchanges that one HTTP/2 connection may run at once.
    pub streams: u32,
    /// How long a plugin's hook may wait before it counts as failed.
    pub plugin_wait: Duration,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For the PROXY header and the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a head to its end.
    pub header: Duration,
    /// Between two pieces of a body, in either direction.
    pub body: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
}
