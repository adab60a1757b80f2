//! Connections to one target, kept for the next exchange.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::body::RequestBody;
use crate::endpoint::Endpoint;
use crate::gather::Gather;
use crate::metrics::traffic::{Connections, Hold, Open};
use crate::socket::Socket;

/// For how many sweeps an unused connection is kept: 50 to 55 seconds. Shorter than what common servers allow, so that
/// they rarely close one that is about to be used.
const SWEEPS: u32 = 11;
/// How many unused connections are kept for one target.
const KEPT: usize = 512;

/// What a connection to a target is read from and written to.
pub type UpstreamIo = Gather;

/// A connection that may carry one request at a time.
///
/// Dropping it ends its task at once. Left alone, the task of an upstream that takes nothing waits for ever to write
/// what it has, and holds the request body, with it the client's connection.
#[derive(Debug)]
pub struct Sender {
    requests: SendRequest<RequestBody>,
    task: AbortHandle,
    /// Counts it, also once it has changed over to another protocol and its task has ended.
    _open: Open,
}

impl Sender {
    /// Sends a request; gives it back if nothing of it was sent.
    pub fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.requests.try_send_request(request)
    }

    fn is_ready(&self) -> bool {
        self.requests.is_ready()
    }

    fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Unused connections to one target.
#[derive(Debug)]
pub struct Pool {
    /// The target.
    pub target: Endpoint,
    /// The target as a `Host` value.
    pub host: HeaderValue,
    /// Each with the sweep before which it was used last; counting sweeps needs no clock.
    idle: RefCell<Vec<(Sender, u32)>>,
    sweeps: Cell<u32>,
    /// Counts its connections.
    account: Rc<Hold>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(target: Endpoint, account: &Arc<Connections>) -> Rc<Self> {
        let host = target.tcp().map(|address| address.to_string());
        let host = host.and_then(|host| HeaderValue::from_str(&host).ok());
        // A socket in the file system has no name that a Host could carry; nginx writes this one as well.
        let host = host.unwrap_or(HeaderValue::from_static("localhost"));
        Rc::new(Self {
            target,
            host,
            idle: RefCell::new(Vec::new()),
            sweeps: Cell::new(0),
            account: Hold::new(Arc::clone(account)),
        })
    }

    /// The connection used last, so that those which are not needed grow old.
    #[must_use]
    pub fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        // A connection given back is ready once its task has seen the end of the answer; until then it is passed over.
        let position = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(idle.swap_remove(position).0)
    }

    /// Keeps a connection whose exchange is over.
    pub fn put(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= KEPT {
            idle.remove(0);
        }
        idle.push((sender, self.sweeps.get()));
    }

    /// Lets go of connections that are closed or grew old; called every five seconds.
    pub fn sweep(&self) {
        let now = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(now);
        self.idle
            .borrow_mut()
            .retain(|(sender, since)| !sender.is_closed() && now.wrapping_sub(*since) < SWEEPS);
    }
}

/// Opens a connection to the target of a pool and starts its task on this worker.
///
/// # Errors
/// What the system said.
pub async fn connect(pool: &Pool) -> io::Result<Sender> {
    let target = pool.target.clone();
    let Endpoint::Tcp(address) = target else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (requests, connection) = http1::handshake(Gather::new(Socket::Tcp(stream)))
        .await
        .map_err(io::Error::other)?;
    let open = pool.account.begin();
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(target: "upstream", %target, %error, "connection ended");
        }
    });
    Ok(Sender {
        requests,
        task: task.abort_handle(),
        _open: open,
    })
}
