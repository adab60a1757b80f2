//! Bodies through plugins, over real connections: what plugins see, what goes on, and what the head says of it.
//!
//! The plugins are made of one C file, so that they stand on the header alone.

mod again;
mod answers;
mod early;
mod faults;
mod heads;
mod outlive;
mod requests;
mod streams;
mod trailers;
mod world;
