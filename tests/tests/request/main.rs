//! Raw HTTP/1.1 requests, by section of the RFCs: what the gateway refuses, and the exact bytes it forwards of the rest.
//!
//! Each case is one row of a table. A recording upstream proves what was forwarded; after every case a fresh client, whose request
//! goes over the same upstream connections, must get the answer to its own request and to nothing else.

mod actions;
mod answers;
mod balance;
mod chunks;
mod corpus;
mod crowds;
mod forwarding;
mod framing;
mod heads;
mod hop_by_hop;
mod hosts;
mod interim;
mod limits;
mod malformed_answers;
mod pipelining;
mod refused;
mod routing;
mod rows;
mod streams;
mod targets;
mod versions;
