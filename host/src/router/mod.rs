//! (host, path, method) -> route. Pure: no clock, no socket, no configuration file.

pub mod path;
pub mod pattern;
pub mod table;
