//! A connection to a target that speaks HTTP/1.1.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use super::body::RequestBody;
use super::heard::{Heard, Outflow};
use super::interim::{Ear, Interim};
use super::kept::{REST, Standstill};
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
    ear: Arc<Ear>,
    outflow: Arc<Outflow>,
    waiting: Rc<Waiting>,
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
        let (ear, outflow) = (Arc::default(), Arc::default());
        let waiting = Rc::<Waiting>::default();
        let heard = Heard::new(wire, &ear, &outflow);
        let (requests, connection) = builder.handshake(heard).await?;
        let open = account.begin();
        let (listening, woken) = (Arc::clone(&ear), Rc::clone(&waiting));
        let driving = panics::contained(Part::Upstream, async move {
            let mut connection = connection.with_upgrades();
            let driven = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                if listening.has_heard() {
                    woken.wake();
                }
                polled
            });
            if let Err(error) = driven.await {
                tracing::debug!(target: "upstream", %target, %error, "connection ended");
            }
        });
        let task = spawn_local(driving);
        Ok(Self {
            requests,
            task: task.abort_handle(),
            ear,
            outflow,
            waiting,
            open: Some(open),
        })
    }

    /// Hears the interim answers to the request that is sent next.
    pub(super) fn listen(&self) -> Listening {
        self.ear.listen();
        Listening {
            ear: Arc::clone(&self.ear),
            waiting: Rc::clone(&self.waiting),
        }
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

    /// At what the target stands that takes nothing of what is to be written; none: nothing waits for it.
    pub(super) fn stands_at(&self) -> Option<u64> {
        self.outflow.stands_at()
    }

    /// Its answer is over, and it is not kept. The request's body may not be over: it goes on for as long as the target takes
    /// pieces of it. How long the client may take to send one has a limit elsewhere.
    pub(super) fn let_go(self) {
        if !self.is_ready() && !self.is_closed() {
            spawn_local(panics::contained(Part::Upstream, self.finished()));
        }
    }

    /// Waits until it takes requests again, or none any more, or stands still.
    async fn finished(mut self) {
        let mut standstill = Standstill::default();
        while standstill.is_short(self.stands_at()) {
            let ready = poll_fn(|cx| self.requests.poll_ready(cx));
            if timeout(REST, ready).await.is_ok() {
                return;
            }
        }
    }
}

/// Whoever waits for an answer and is to hear what comes before it.
#[derive(Debug, Default)]
struct Waiting(RefCell<Option<Waker>>);

impl Waiting {
    fn wake(&self) {
        if let Some(waker) = &*self.0.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// What is heard before an answer.
pub(super) struct Listening {
    ear: Arc<Ear>,
    waiting: Rc<Waiting>,
}

impl Listening {
    /// The next interim answer; whoever asks is woken when there is one.
    pub(super) fn next(&self, cx: &Context<'_>) -> Option<Interim> {
        match &mut *self.waiting.0.borrow_mut() {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.ear.next()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A kept connection must not keep the task of a client that has gone.
        *self.waiting.0.borrow_mut() = None;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}
