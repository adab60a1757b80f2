//! The targets of a worker and the connections to them.
//!
//! Everything here belongs to one worker: connections are never shared, so nothing is locked. Only what is known of targets
//! is the same for all of them.
//!
//! - [`target`]: what is known of targets;
//! - [`balance`]: which target is next;
//! - [`body`]: a request body on its way;
//! - [`manner`]: how targets are spoken to;
//! - [`dial`]: connecting, with or without TLS;
//! - [`http1`], [`http2`]: connections that carry one request at a time, and many;
//! - [`heard`]: what passes on those of HTTP/1.1, [`interim`] what a target says before its answer;
//! - [`pool`]: connections to one target, kept for the next exchange;
//! - [`group`]: the targets of an upstream, [`balance`] the choice among them, [`attempt`] what came of it;
//! - [`lease`]: a connection in use;
//! - [`deliver`]: one request whose answer nobody waits for;
//! - [`send`]: one request to one upstream; [`turn`] is its way through the targets, [`retry`] what may be repeated safely,
//!   [`replay`] how a body is told again, [`flaw`] and [`first`] what is wrong with an answer;
//! - [`total`]: the limit on all of it.

pub mod attempt;
pub mod balance;
pub mod body;
pub mod deliver;
pub mod dial;
pub mod first;
pub mod flaw;
pub mod group;
pub mod heard;
pub mod http1;
pub mod http2;
pub mod idle;
pub mod interim;
mod kept;
pub mod lease;
pub mod manner;
pub mod pool;
pub mod replay;
pub mod retry;
pub mod send;
pub mod target;
pub mod total;
pub mod turn;
