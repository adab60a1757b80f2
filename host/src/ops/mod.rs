//! What plugins wait for: operations of the gateway, begun by one hook and told to another when they are done.
//!
//! An operation is a future that comes to a [`Done`]. It runs on the thread of whoever waits for it: on the worker of
//! its exchange, or on the thread of the background. So it is made by a function that may be sent there, and need not be
//! sent itself. This room knows no plugin: `plugin::ffi` begins operations and hands over what they came to.

pub mod background;
pub mod blocking;
pub mod callout;
pub mod directory;
pub mod kv;
pub mod resolve;
pub mod services;

pub use crate::context::operation::{Begin, Data, Done, Held, HttpAnswer, Operation};
