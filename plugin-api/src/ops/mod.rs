//! What a plugin can wait for, and how several things are waited for at once.
//!
//! These are futures for async hooks ([`AsyncAccess`](crate::AsyncAccess) and its kin) and for tasks of the
//! [`Background`](crate::Background). Each starts when it is polled first. Dropped, it is cancelled: the gateway sends no
//! event, the connection of a callout goes. An exchange may have 64 of them at a time, a background 1,024.
//!
//! ```
//! use std::time::Duration;
//!
//! use swapgate_plugin::ops::{self, http};
//! use swapgate_plugin::{AsyncAccessCall, Error, Flow, Response};
//!
//! # async fn access(request: AsyncAccessCall) -> Result<Flow, Error> {
//! let asked = http::Request::to_service("accounts", "/check")
//!     .header("x-key", request.header("x-api-key").unwrap_or_default())
//!     .send();
//! let answer = ops::timeout(Duration::from_millis(300), asked).await??;
//! if answer.status() == 200 {
//!     return Ok(Flow::Continue);
//! }
//! Ok(request.respond(&Response::problem(401, "Unauthorized", "nobody knows this key"))?)
//! # }
//! ```
//!
//! Futures of other crates work as well, as long as they need no runtime: channels, `futures::select!`, `join_all`. Their
//! wakers may be used on any thread.

mod blocking;
mod combine;
pub mod http;

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

pub use blocking::blocking;
pub use combine::{Either, join, join_all, race, timeout};

use crate::guest::task::{Kind, Operation, Output};
use crate::status::HostError;

/// Waits for some time.
///
/// # Errors
///
/// Those of `sleep` in the header.
pub fn sleep(duration: Duration) -> impl Future<Output = Result<(), HostError>> + Send {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let operation = Operation::new(Kind::Plain, move |gateway, scope| {
        gateway.sleep(scope, nanoseconds)
    });
    async move { operation.await.map(drop) }
}

/// The addresses of a host name, as the gateway looks it up.
///
/// # Errors
///
/// [`HostError::NotFound`]: there is no such name. [`HostError::Timeout`]: nobody answered.
pub fn resolve(name: &str) -> impl Future<Output = Result<Vec<IpAddr>, HostError>> + Send + use<> {
    let name = name.to_owned();
    let operation = Operation::new(Kind::Resolve, move |gateway, scope| {
        gateway.resolve(scope, &name)
    });
    async move {
        match operation.await? {
            Output::Addresses(addresses) => Ok(addresses),
            Output::Nothing | Output::Answer(_) => Err(HostError::Failed),
        }
    }
}
