//! Connections to one target, kept for the next exchange.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;

/// How long an unused connection is kept. Shorter than what common servers allow, so that they rarely close one that
/// is about to be used.
const IDLE: Duration = Duration::from_secs(55);
/// How many unused connections are kept for one target.
const KEPT: usize = 512;

/// A connection that may carry one request at a time.
pub type Sender = SendRequest<RequestBody>;

/// Unused connections to one target.
#[derive(Debug)]
pub struct Pool {
    /// The target.
    pub target: SocketAddr,
    /// The target as a `Host` value.
    pub host: HeaderValue,
    idle: RefCell<Vec<(Sender, Instant)>>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(target: SocketAddr) -> Rc<Self> {
        let host = HeaderValue::from_str(&target.to_string())
            .unwrap_or(HeaderValue::from_static("upstream"));
        Rc::new(Self {
            target,
            host,
            idle: RefCell::new(Vec::new()),
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
        idle.push((sender, Instant::now()));
    }

    /// Lets go of connections that are closed or grew old.
    pub fn sweep(&self, now: Instant) {
        self.idle
            .borrow_mut()
            .retain(|(sender, since)| !sender.is_closed() && now.duration_since(*since) < IDLE);
    }
}

/// Opens a connection and starts its task on this worker.
///
/// # Errors
/// What the system said.
pub async fn connect(target: SocketAddr) -> io::Result<Sender> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(target: "upstream", %target, %error, "connection ended");
        }
    });
    Ok(sender)
}
