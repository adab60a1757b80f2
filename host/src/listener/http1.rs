//! One connection that speaks HTTP/1.1.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::guard::{Ended, Guard};
use super::io::ClientIo;
use crate::activity::Overdue;
use crate::config::ready::Limits;
use crate::exchange::{Aborted, Peer, serve};
use crate::local::Local;

/// Room hyper needs at the least.
const LEAST_BUFFER: usize = 8 * 1024;

/// How many header fields hyper admits unless told otherwise.
const HYPER_HEADERS: usize = 100;

/// Serves one connection until it ends. Between exchanges, once it is quiet, it rests: it holds no buffers of hyper's then,
/// and nothing else that only exchanges need, which is most of what a connection costs.
pub(super) async fn run(
    worker: &Rc<Local>,
    mut io: ClientIo,
    peer: Rc<Peer>,
    limits: Limits,
    mut guard: Guard,
) -> Ended {
    io.speak_for(Rc::clone(&peer));
    loop {
        // On the heap, so that it goes when the connection rests.
        let left = Box::pin(converse(worker, io, &peer, limits, &mut guard)).await;
        io = match left {
            Left::Over(ended) => return ended,
            Left::Quiet(io) => io,
        };
        if let Some(overdue) = rest(&mut io, &mut guard).await {
            return Ended::Overdue(overdue);
        }
    }
}

/// How a stretch of exchanges ends.
enum Left {
    Over(Ended),
    /// The client asks for nothing, and nothing is under way.
    Quiet(ClientIo),
}

/// Serves until the connection ends or is quiet.
async fn converse(
    worker: &Rc<Local>,
    io: ClientIo,
    peer: &Rc<Peer>,
    limits: Limits,
    guard: &mut Guard,
) -> Left {
    let activity = Rc::clone(&guard.activity);
    let opened = Cell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let body = request.body();
        let chunked = !body.is_end_stream() && body.size_hint().exact().is_none();
        activity.comes_in_chunks(chunked);
        let activity = Rc::clone(&activity);
        let own = Rc::clone(&activity);
        let serving = serve(Rc::clone(worker), Rc::clone(peer), activity, request);
        let opened = &opened;
        async move {
            let mut response = serving.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                opened.set(response.body_mut().take_tunnel());
            } else if own.is_draining() || own.awaits_end() {
                // Trailers that are still to come would be the last that is taken here (see `upstream::body`), and nobody may look
                // at them in time, or at all, once the answer is over.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Aborted>(response)
        }
    });
    let mut connection = builder(limits).serve_connection(io, service);
    let mut drained = false;
    let ended = std::future::poll_fn(|cx| {
        // Polled first: a request that waits in the socket is taken before the connection is asked to end.
        let mut polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() && guard.activity.must_end() && !drained {
            drained = true;
            Pin::new(&mut connection).graceful_shutdown();
            polled = Pin::new(&mut connection).poll(cx);
        }
        match polled {
            Poll::Ready(result) => Poll::Ready(Ended::By(result)),
            Poll::Pending => guard.poll(cx).map(Ended::Overdue),
        }
    })
    .await;
    match (ended, opened.take()) {
        (Ended::Overdue(Overdue::Quiet), _) => {
            let parts = connection.into_parts();
            Left::Quiet(parts.io.with_first(parts.read_buf))
        }
        // With its answer still in a buffer of hyper's the client would never learn of the change.
        (Ended::By(Ok(())), Some(tunnel)) if !guard.activity.is_blocked() => {
            let parts = connection.into_parts();
            Box::pin(tunnel.run(parts.io, parts.read_buf)).await;
            Left::Over(Ended::By(Ok(())))
        }
        (ended, _) => Left::Over(ended),
    }
}

/// Waits for the client, or until the connection is to end, which hyper then does as it does with any other.
async fn rest(io: &mut ClientIo, guard: &mut Guard) -> Option<Overdue> {
    guard.activity.rests(true);
    let overdue = std::future::poll_fn(|cx| {
        if io.poll_awake(cx).is_ready() || guard.activity.must_end() {
            return Poll::Ready(None);
        }
        guard.poll(cx).map(Some)
    })
    .await;
    guard.activity.rests(false);
    overdue
}

fn builder(limits: Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        .header_read_timeout(None);
    if limits.headers != HYPER_HEADERS {
        // Said only where it differs: hyper then takes room for the fields from the heap.
        builder.max_headers(limits.headers);
    }
    builder
}
