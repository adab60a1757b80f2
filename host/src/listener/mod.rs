//! Where clients connect.
//!
//! - [`bind`]: sockets, one for each worker, made before anything is published;
//! - [`listening`]: what they are; [`unix`]: those in the file system;
//! - [`accept`]: taking connections off a socket;
//! - `connection`: one connection, from accept to close, on one task of one worker.

pub mod accept;
pub mod bind;
mod connection;
mod guard;
mod handshake;
mod http1;
mod http2;
mod io;
pub mod listening;
mod preface;
mod proxy;
mod secure;
mod stream;
pub mod unix;
