//! One connection that speaks HTTP/1.1.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::guard::{Ended, Guard};
use super::io::ClientIo;
use crate::config::ready::Limits;
use crate::exchange::{Aborted, Peer, serve};
use crate::local::Local;

/// Room hyper needs at the least.
const LEAST_BUFFER: usize = 8 * 1024;

/// How many header fields hyper admits unless told otherwise.
const HYPER_HEADERS: usize = 100;

/// Serves one connection until it ends.
pub(super) async fn run(
    worker: Rc<Local>,
    io: ClientIo,
    peer: Rc<Peer>,
    limits: Limits,
    mut guard: Guard,
) -> Ended {
    let activity = Rc::clone(&guard.activity);
    let opened = Cell::new(None);
    let service = service_fn(|request| {
        let activity = Rc::clone(&activity);
        let serving = serve(Rc::clone(&worker), Rc::clone(&peer), activity, request);
        async {
            let mut response = serving.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                opened.set(response.body_mut().take_tunnel());
            }
            Ok::<_, Aborted>(response)
        }
    });
    let mut connection = builder(limits).serve_connection(io, service);
    let mut drained = false;
    let ended = std::future::poll_fn(|cx| {
        // Polled first: a request that waits in the socket is taken before the connection is asked to end.
        let mut polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() && guard.activity.is_draining() && !drained {
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
        // With its answer still in a buffer of hyper's the client would never learn of the change.
        (Ended::By(Ok(())), Some(tunnel)) if !guard.activity.is_blocked() => {
            let parts = connection.into_parts();
            Box::pin(tunnel.run(parts.io, parts.read_buf)).await;
            Ended::By(Ok(()))
        }
        (ended, _) => ended,
    }
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
