//! Connections to a target that speaks HTTP/2: few of them, with many streams each.
//!
//! - [`mod@line`]: one connection, its streams, and its end;
//! - [`lines`]: those to one target, and who waits for room on them;
//! - [`ticket`]: one request on it;
//! - [`held`]: the request's body, which can be told again and can be ended.

pub mod held;
pub mod line;
pub mod lines;
pub mod ticket;
