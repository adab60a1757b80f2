//! Where clients connect.
//!
//! - [`bind`]: sockets, one for each worker, made before anything is published;
//! - [`unix`]: those in the file system;
//! - [`accept`]: taking connections off a socket, for its [`owner`], the listener;
//! - [`connections`]: those that are open; `room`: what becomes of more than there is room for;
//! - `connection`: one connection, from accept to close, on one task of one worker;
//! - `handshake`: what comes before its first request: `proxy`, then `secure` (and `identity`, who a client is by its
//!   certificate), then `preface`, which tells the version;
//! - `http1` and `http2`: serving it, held to its limits by `guard`; `line`: which limit a head broke; `unserved`: what is told of those that were refused.

pub mod accept;
pub mod bind;
mod connection;
pub mod connections;
pub(crate) mod door;
mod guard;
mod handshake;
mod http1;
mod http2;
mod identity;
mod io;
mod line;
pub mod owner;
mod preface;
mod proxy;
mod room;
mod secure;
pub mod unix;
mod unserved;
