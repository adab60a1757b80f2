//! Work that takes long, on the threads the gateway keeps for that.

use std::future::Future;

use crate::guest::task::{Kind, Operation, blocking as job};
use crate::status::HostError;

/// Runs a function on a thread of the gateway's pool: password hashes, compression, files. If what waits for it is dropped
/// before a thread took it, it never runs; one that runs is not interrupted.
///
/// # Errors
///
/// [`HostError::Panic`]: the function panicked; the text is in the log. [`HostError::Unavailable`]: too many wait for a
/// thread already, or this is a preflight.
pub fn blocking<F, T>(work: F) -> impl Future<Output = Result<T, HostError>> + Send
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (job, result) = job::pair(work);
    let operation = Operation::new(Kind::Plain, move |gateway, scope| job.start(gateway, scope));
    async move {
        operation.await?;
        result.take().ok_or(HostError::Failed)
    }
}
