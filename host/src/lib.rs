//! Swapgate: an API gateway whose behaviour is native plugins.

pub mod config;
pub mod router;
