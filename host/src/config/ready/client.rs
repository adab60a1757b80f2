//! Clients: what they may use, how long they may take, and which of their headers count.

use std::time::Duration;

use http::HeaderName;

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

/// Which headers of clients count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHeaders {
    /// What becomes of names with an underscore.
    pub underscores: Underscores,
    /// Names that only the gateway and its plugins may set.
    pub identity: Vec<Identity>,
}

/// What becomes of headers with an underscore in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    /// They are taken out.
    #[default]
    Drop,
    /// The request is answered with 400.
    Reject,
    /// They are forwarded.
    Allow,
}

/// Names of headers that say who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This one.
    Name(HeaderName),
    /// All that begin so, in lower case.
    Prefix(Box<str>),
}
