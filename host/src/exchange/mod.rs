//! One request and its answer, as one straight sequence.
//!
//! ```text
//! ingress -> rewrite (global) -> route -> access -> upstream -> header_filter -> sent -> log, always, exactly once
//! ```
//!
//! Errors only move forward: whatever fails becomes a [`Failure`](crate::respond::failure::Failure), `respond` turns it into an answer, and the answer
//! goes through `header_filter` and `log` like any other.

mod answer;
mod begin;
pub(crate) mod direct;
mod facts;
pub mod forwarding;
pub mod ingress;
mod outgoing;
mod serve;
pub(crate) mod upward;

pub use answer::AnswerBody;
pub use facts::{Exchange, Peer};
pub use serve::{Aborted, serve};
