//! One request and its answer, as one straight sequence.
//!
//! ```text
//! ingress -> rewrite (global) -> route -> access -> upstream -> header_filter -> sent -> log, always, exactly once
//! ```
//!
//! A hook that waits parks its lane (see `lanes`); the sequence stands still at that point and the worker serves others.
//!
//! Errors only move forward: whatever fails becomes a [`Failure`](crate::respond::failure::Failure), `respond` turns it into an answer, and the answer
//! goes through `header_filter` and `log` like any other.

mod admission;
mod answer;
mod begin;
mod choice;
pub(crate) mod direct;
pub(crate) mod door;
mod end;
mod facts;
mod fallen;
mod filtered;
mod fitted;
mod flow;
mod forward;
pub mod forwarding;
pub(crate) mod hops;
pub mod ingress;
mod interim;
mod lanes;
mod mirror;
mod multiplexed;
mod outgoing;
mod peer;
mod pump;
mod refused;
mod serve;
mod shed;
mod tunnel;
pub(crate) mod upward;

pub use answer::{AnswerBody, AnswerError};
pub use facts::{Exchange, Running};
pub use peer::Peer;
pub use serve::{Aborted, serve};
pub(crate) use tunnel::side::Side;
pub(crate) use tunnel::stream::{ClientStream, Sending};
