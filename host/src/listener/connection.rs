//! One connection, from accept to close.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use super::guard::{Ended, Held};
use super::handshake::{Version, shake};
use super::http1;
use super::io::ClientIo;
use crate::activity::Activity;
use crate::exchange::Peer;
use crate::local::Local;
use crate::snapshot::Speech;
use crate::socket::Socket;

/// Serves one connection until it ends.
pub async fn run(worker: Rc<Local>, socket: Socket, speech: Arc<Speech>, activity: Rc<Activity>) {
    let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else {
        return; // gone before it was looked at
    };
    // Small answers must not wait for the client's acknowledgements.
    socket.hurry();
    let Some(held) = held(&worker) else {
        return;
    };
    let ready = match timeout(held.timeouts.handshake, shake(socket, &speech)).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(why)) => {
            tracing::debug!(target: "connection", %peer, "{why}");
            return;
        }
        Err(_) => {
            tracing::debug!(target: "connection", %peer, "the client took too long for the handshake");
            return;
        }
    };
    let io = ClientIo::new(ready.stream, Rc::clone(&activity));
    let facts = Rc::new(Peer::new(peer, local, ready.connection, activity));
    let ended = match ready.version {
        Version::Http1 => http1::run(worker, io, facts, held).await,
        Version::Http2 => return,
    };
    match ended {
        Ended::By(Ok(())) => {}
        Ended::By(Err(error)) => {
            tracing::debug!(target: "connection", %peer, "{}", said(&error));
        }
        Ended::Overdue(overdue) => {
            // The socket is closed without a word: whoever does not finish a head does not wait for an answer.
            tracing::debug!(target: "connection", %peer, ?overdue, "client took too long");
        }
    }
}

/// The limits in force when the connection begins.
fn held(worker: &Local) -> Option<Held> {
    let generation = worker.generation();
    let settings = &generation.snapshot()?.settings;
    Some(Held {
        limits: settings.limits,
        timeouts: settings.client_timeouts,
    })
}

/// An error with its causes in one line.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("connection ended: {error}: {cause}"),
        None => format!("connection ended: {error}"),
    }
}
