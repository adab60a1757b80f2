//! Connections for callouts: each thread that waits for any keeps those of its own, so nothing is locked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::Failed;
use crate::gather::Gather;
use crate::socket::Socket;

/// How many unused connections a thread keeps for one address.
const KEPT: usize = 512;
/// For how long. Shorter than what common servers allow.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the old ones are looked for.
const SWEEP: Duration = Duration::from_secs(5);

thread_local! {
    static IDLE: RefCell<HashMap<SocketAddr, Vec<(Connection, Instant)>>> = RefCell::default();
    static SWEEPER: Cell<bool> = const { Cell::new(false) };
}

/// A connection that may carry one request at a time. Dropping it closes it.
pub(super) struct Connection {
    /// The other end.
    pub(super) address: SocketAddr,
    /// Sends requests.
    pub(super) requests: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(self) {
        if self.requests.is_closed() {
            return;
        }
        IDLE.with_borrow_mut(|idle| {
            let kept = idle.entry(self.address).or_default();
            if kept.len() < KEPT {
                kept.push((self, Instant::now()));
            }
        });
        if !SWEEPER.replace(true) {
            spawn_local(sweep());
        }
    }
}

/// The connection used last, if any is kept.
pub(super) fn kept(address: SocketAddr) -> Option<Connection> {
    IDLE.with_borrow_mut(|idle| {
        let kept = idle.get_mut(&address)?;
        // One that was just given back is ready once its task has seen the end of the answer.
        let ready = kept
            .iter()
            .rposition(|(connection, _)| connection.requests.is_ready())?;
        Some(kept.swap_remove(ready).0)
    })
}

/// Opens a connection and starts its task on this thread.
pub(super) async fn open(address: SocketAddr, limit: Duration) -> Result<Connection, Failed> {
    let failed = |error| Failed::Connect(address, error);
    let stream = timeout(limit, TcpStream::connect(address))
        .await
        .map_err(|_| Failed::ConnectLate(address))?
        .map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (requests, connection) = http1::handshake(Gather::new(Socket::Tcp(stream)))
        .await
        .map_err(|error| Failed::Died(address, error))?;
    let task = spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(target: "callout", %address, %error, "connection ended");
        }
    });
    Ok(Connection {
        address,
        requests,
        task: task.abort_handle(),
    })
}

/// Lets go of what is closed or grew old, until nothing is kept any more.
async fn sweep() {
    loop {
        sleep(SWEEP).await;
        let old = IDLE.with_borrow_mut(|idle| {
            let mut old = Vec::new();
            for kept in idle.values_mut() {
                let is_old = |(connection, since): &mut (Connection, Instant)| {
                    connection.requests.is_closed() || since.elapsed() > PATIENCE
                };
                old.extend(kept.extract_if(.., is_old));
            }
            idle.retain(|_, kept| !kept.is_empty());
            old
        });
        // Outside of the list, for a task that is aborted may be one that looks at it.
        drop(old);
        if IDLE.with_borrow(HashMap::is_empty) {
            SWEEPER.set(false);
            return;
        }
    }
}
