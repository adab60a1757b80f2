//! The targets of a worker and the connections to them.
//!
//! Everything here belongs to one worker: connections are never shared, so nothing is locked.
//!
//! - [`balance`]: which target is next;
//! - [`body`]: a request body on its way;
//! - [`pool`]: connections to one target, kept for the next exchange;
//! - [`send`]: one request to one upstream, with what may be repeated safely.

pub mod balance;
pub mod body;
pub mod idle;
pub mod pool;
pub mod send;
