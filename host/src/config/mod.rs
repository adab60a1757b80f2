//! From what the file says to what the gateway uses.
//!
//! The path is `text -> raw -> ready`, a pure function that returns *all* errors. [`ready`] holds the types that
//! cannot hold a wrong value; no other room reads the file.

pub mod ready;
