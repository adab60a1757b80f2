//! One connection, from accept to close.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::rt::Write;
use tokio::time::timeout;

use super::connections::Alive;
use super::guard::{Ended, Guard, Held};
use super::handshake::{Version, shake};
use super::http2::frames::Frames;
use super::http2::guarded::Guarded;
use super::io::ClientIo;
use super::preface::{self, Told};
use super::unserved::Whose;
use super::{http1, http2, proxy};
use crate::activity::Activity;
use crate::config::ready::Limits;
use crate::exchange::{Peer, forwarding};
use crate::local::Local;
use crate::snapshot::{Settings, Speech};
use crate::socket::Socket;
use crate::wire::Wire;

/// What HTTP/1.1 is told where only HTTP/2 is spoken.
const ONLY_HTTP2: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\n\
content-length: 34\r\nconnection: close\r\n\r\nonly HTTP/2 is spoken on this port";

/// Serves one connection until it ends. `open` is held as long as anything of it runs.
pub(super) async fn run(
    worker: Rc<Local>,
    socket: Socket,
    speech: Arc<Speech>,
    activity: Rc<Activity>,
    open: Rc<Alive>,
) {
    let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else {
        return; // gone before it was looked at
    };
    // Small answers must not wait for the client's acknowledgements.
    socket.hurry();
    let Some(held) = held(&worker) else {
        return;
    };
    let trusted = is_trusted(&worker, &speech, peer);
    let opening = async {
        let opened = proxy::open(socket, (peer, local), &speech, trusted).await?;
        let named = trusted && opened.proxied.is_some();
        if named && !open.counts_for(&worker, opened.peer.ip()) {
            return Err("its address has as many connections as it may".to_owned());
        }
        let mut ready = shake(opened.socket, &speech).await?;
        ready.connection.proxied = opened.proxied;
        ready.connection.nameless = opened.nameless;
        Ok::<_, String>((ready, opened.peer, opened.local))
    };
    // On the heap: what it takes to open a connection is not needed for long.
    let opening = Box::pin(timeout(held.timeouts.handshake, opening));
    let (mut ready, peer, local) = match opening.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => {
            tracing::debug!(target: "connection", %peer, "{why}");
            return;
        }
        Err(_) => {
            tracing::debug!(target: "connection", %peer, "the client took too long for the handshake");
            return;
        }
    };
    activity.shook_hands(Instant::now());
    let mut guard = Guard::new(Rc::clone(&activity), held.timeouts);
    let mut first = Bytes::new();
    let protocols = speech.protocols;
    let by_alpn = ready.version == Version::Http2 && ready.connection.tls.is_some();
    if protocols.http2 && !by_alpn {
        // Nobody agreed on a version, so the client's first bytes tell.
        match preface::read(&mut ready.stream, &mut guard).await {
            Told::Version(version, bytes) => (ready.version, first) = (version, bytes),
            Told::Nothing => return,
        }
        if ready.version == Version::Http1 && !protocols.http1 {
            Whose::new(&speech, peer, Version::Http1).speaks_another_version(&worker, &first);
            refuse(&mut ready.stream).await;
            return;
        }
    }
    let io = ClientIo::new(ready.stream, first, Rc::clone(&activity));
    let facts = Rc::new(Peer::new(peer, local, ready.connection));
    let whose = Whose::new(&speech, peer, ready.version);
    let ended = match ready.version {
        Version::Http1 => http1::run(&worker, io, facts, held.limits, guard).await,
        Version::Http2 => {
            let (worker, open) = (Rc::clone(&worker), Rc::clone(&open));
            let frames = guarded(&worker, &whose, held.limits);
            // On the heap: a connection that speaks HTTP/1.1 makes no room for it.
            Box::pin(http2::run(
                worker,
                (io, frames),
                facts,
                held.limits,
                (guard, open),
            ))
            .await
        }
    };
    whose.ended(&worker, &activity, &ended);
    if activity.has_flooded() || is_too_much(&ended) {
        open.counts_flood();
    }
    if activity.has_flooded() {
        tracing::debug!(target: "connection", %peer, "the client sent too many frames that ask for nothing");
        return;
    }
    match ended {
        // hyper ends a connection so, and all of its streams, where one of them is a CONNECT with a length.
        Ended::By(Ok(())) if activity.streams() > 0 && !activity.is_draining() => {
            let streams = activity.streams();
            tracing::debug!(target: "connection", %peer, streams, "connection ended while streams were open");
        }
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

/// Whether a connection that was just accepted may be one more of its address, for which it counts then. Whoever may say for
/// whom it speaks counts for that address, once it said so; everybody else for their own, at once.
pub(super) fn is_admitted(worker: &Local, socket: &Socket, speech: &Speech, open: &Alive) -> bool {
    let Ok(peer) = socket.peer_addr() else {
        return true; // gone already, which its task finds
    };
    let waits = is_trusted(worker, speech, peer);
    !socket.is_of_the_network() || waits || open.counts_for(worker, peer.ip())
}

/// Guards a connection against floods of frames, and tells of what is ended because of what the client did.
fn guarded(worker: &Rc<Local>, whose: &Whose, limits: Limits) -> Guarded {
    let (worker, whose) = (Rc::clone(worker), whose.clone());
    let tell = move |broken| whose.broke(&worker, broken);
    Guarded::new(Frames::new(limits.streams, Instant::now()), Box::new(tell))
}

/// Whether h2 ended the connection because of what the client sent too much of.
fn is_too_much(ended: &Ended) -> bool {
    let Ended::By(Err(error)) = ended else {
        return false;
    };
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_library() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    })
}

/// Tells a client that it speaks the wrong version. Its request is not read, so it may be told in vain.
async fn refuse(stream: &mut Wire) {
    let mut left = ONLY_HTTP2;
    std::future::poll_fn(|cx| {
        while !left.is_empty() {
            match std::task::ready!(Pin::new(&mut *stream).poll_write(cx, left)) {
                Ok(written @ 1..) => left = left.get(written..).unwrap_or_default(),
                _ => break,
            }
        }
        Pin::new(&mut *stream).poll_shutdown(cx).map(drop)
    })
    .await;
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

/// Whether a PROXY header of this peer is believed; nobody asks where there is none.
fn is_trusted(worker: &Local, speech: &Speech, peer: SocketAddr) -> bool {
    let generation = worker.generation();
    let trusts =
        |settings: &Settings| forwarding::is_trusted(peer.ip(), &settings.trusted_addresses);
    speech.proxy.is_some()
        && generation
            .snapshot()
            .is_some_and(|now| trusts(&now.settings))
}

/// An error with its causes in one line.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("connection ended: {error}: {cause}"),
        None => format!("connection ended: {error}"),
    }
}
