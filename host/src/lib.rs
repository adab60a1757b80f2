//! Swapgate: an API gateway whose behaviour is native plugins.
#![deny(unsafe_code)]

pub mod activity;
pub mod admin;
pub mod chain;
pub mod config;
pub mod context;
pub mod control;
pub mod exchange;
pub mod listener;
pub mod local;
pub mod plugin;
pub mod respond;
pub mod router;
pub mod server;
pub mod snapshot;
pub mod upstream;
pub mod worker;
