//! The plugin's side: the trait and its hooks, the handles they get, and the way they cross the line.
//!
//! - [`hooks`](crate::Plugin): the trait of a plugin and one small trait per phase;
//! - [`handle`]: one typed handle per phase, so that what a phase does not allow does not compile;
//! - [`call`]: the gateway's table, function by function;
//! - [`metric`]: counters, gauges and histograms of a plugin;
//! - [`mod@error`], [`response`]: what a hook gives back;
//! - `task`: async hooks over operations of the gateway;
//! - `forward`: log records and panics of this image go to the gateway's log;
//! - [`export`]: both doors, the table of hooks and the panic barrier.

#[allow(unsafe_code, reason = "calls the functions of the gateway's table")]
pub mod call;
pub mod error;
#[allow(
    unsafe_code,
    reason = "the functions the gateway calls get raw pointers"
)]
pub mod export;
pub(crate) mod forward;
pub mod handle;
pub(crate) mod hooks;
pub mod metric;
pub mod response;
pub mod state;
#[allow(
    unsafe_code,
    reason = "lends the running exchange to tasks, and makes wakers"
)]
pub(crate) mod task;
