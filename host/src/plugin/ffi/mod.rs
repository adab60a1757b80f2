//! Every call across the line, in both directions, and nothing else.
//!
//! - [`host`]: what plugins call: the host table; `attribute`, `header`, `body`, `leave`, `metric` and `waiting` have its
//!   functions, each those that are about the same, `inward` what they all begin and end with, and `lend` what they show;
//! - [`request`]: the hooks of an exchange;
//! - `extension` finds the larger areas: `kv`, `callout`, `resolve`, `blocking`;
//! - [`background`]: the hooks of an instance outside of exchanges;
//! - [`control`]: load, configure, start, destroy, unload; `entry` goes through the door before.
//!
//! This room is one of the few that may use unsafe code. What it relies on: a hook pointer comes from a function table
//! that `library` checked, and an instance keeps its image mapped for as long as it lives.

mod attribute;
pub mod background;
mod blocking;
mod body;
mod bound;
mod callout;
pub mod control;
mod entry;
pub mod event;
mod extension;
pub mod handover;
mod header;
pub mod host;
mod inward;
mod kv;
mod leave;
mod lend;
mod metric;
pub mod request;
mod resolve;
mod view;
mod waiting;

pub use bound::Bound;
