//! Connections that change over to another protocol: WebSocket and other upgrades.
//!
//! - [`ask`]: what a client asked for, and whether its route passes that on;
//! - [`key`]: what proves that an upstream understood a WebSocket handshake;
//! - [`switch`]: the upstream agreed, plugins see the head of its answer, the client is told;
//! - [`side`]: what the two sides have in common once no HTTP is spoken on them any more;
//! - [`stream`]: a client's side that is one stream of HTTP/2;
//! - [`copy`]: bytes from each to the other, until both are through.
//!
//! A tunnel holds its exchange, and with that its generation, to the end: `log` comes then, with the bytes of both
//! directions. No body hook sees any of them.

pub(super) mod ask;
mod copy;
mod key;
pub(crate) mod side;
pub(crate) mod stream;
pub(super) mod switch;

pub(crate) use switch::Tunnel;
