//! HTTP/2 at the level of frames, by section of RFC 9113: what the gateway answers, what it resets, what it ends.
//!
//! Each case is one row of a table. After every row that leaves the connection alive, a PING and a further request on it must be
//! answered; after every row at all, a fresh client gets the answer to its own request and to nothing else.

mod bodiless;
mod bystander;
mod compression;
mod control;
mod control_floods;
mod downward;
mod drain;
mod fields;
mod floods;
mod flow;
mod frames;
mod kinds;
mod messages;
mod partial;
mod preface;
mod pseudo;
mod rows;
mod stage;
mod streams;
mod upward;
mod withheld;
