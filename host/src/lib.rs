//! Swapgate: an API gateway whose behaviour is native plugins.
#![deny(unsafe_code)]

pub mod config;
pub mod context;
pub mod plugin;
pub mod router;
