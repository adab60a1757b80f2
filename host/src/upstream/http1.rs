//! A connection to a target that speaks HTTP/1.1.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::task::AbortHandle;

use super::body::RequestBody;
use crate::endpoint::Endpoint;
use crate::metrics::traffic::{Hold, Open};
use crate::panics::{self, Part};
use crate::wire::Wire;

/// What is read of an answer at once, and what is kept of a request that the target does not take; the head of an answer
/// must fit in as well. It bounds what a client that takes nothing costs, which is three times this, 64 KiB of TLS and some
/// more at most; and what a download costs goes up as it goes down: with 64 KiB one of 10 MiB cost 1.27 times what it costs
/// nginx, with this figure 0.98 (on a busy machine), with 256 KiB 0.91, with hyper's own 400 KiB 0.98.
const READ_AHEAD: usize = 128 * 1024;

/// A connection that may carry one request at a time.
///
/// Dropping it ends its task at once. Left alone, the task of an upstream that takes nothing waits for ever to write
/// what it has, and holds the request body, with it the client's connection.
#[derive(Debug)]
pub struct Sender {
    requests: SendRequest<RequestBody>,
    task: AbortHandle,
    /// Counts it, also once it has changed over to another protocol and its task has ended.
    open: Option<Open>,
}

impl Sender {
    /// Starts the task of a connection on this worker.
    ///
    /// # Errors
    /// What hyper said.
    pub async fn open(wire: Wire, target: Endpoint, account: &Rc<Hold>) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_AHEAD).max_header_size(READ_AHEAD);
        let (requests, connection) = builder.handshake(wire).await?;
        let open = account.begin();
        let driving = panics::contained(Part::Upstream, async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(target: "upstream", %target, %error, "connection ended");
            }
        });
        let task = tokio::task::spawn_local(driving);
        Ok(Self {
            requests,
            task: task.abort_handle(),
            open: Some(open),
        })
    }

    /// Sends a request; gives it back if nothing of it was sent.
    pub fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.requests.try_send_request(request)
    }

    /// What is left of it once the connection has changed over to another protocol: that it is open. The rest holds
    /// memory for requests that will never come.
    #[must_use]
    pub fn changed_over(mut self) -> Option<Open> {
        self.open.take()
    }

    /// Whether it takes a request now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.requests.is_ready()
    }

    /// Whether it takes none any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}
