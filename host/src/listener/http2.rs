//! One connection that speaks HTTP/2.
//!
//! The connection and each of its streams are tasks of the same worker. A stream's task ends with its stream, however that
//! ends, and all of them end with the connection.

mod counting;
mod frame;
pub(super) mod frames;
pub(super) mod guarded;
mod piece;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use tokio::task::spawn_local;

use self::counting::Counting;
use self::guarded::Guarded;
use self::piece::Pieces;
use super::connections::Alive;
use super::guard::{Ended, Guard};
use super::io::ClientIo;
use crate::activity::{Activity, Overdue};
use crate::config::ready::Limits;
use crate::exchange::{ClientStream, Peer, Sending, serve};
use crate::local::Local;
use crate::panics::{self, Part};

/// What a client may send of one body before somebody has read it. At 50 ms of way and back that is 5 MB a second for one
/// upload; nobody reads ahead of plugins and upstreams, so this is what a body costs in memory.
const STREAM_WINDOW: u32 = 256 * 1024;
/// And of all bodies of one connection: sixteen that nobody reads do not stop the next for want of more than this. It also
/// decides how many small DATA frames h2 keeps that nobody has taken yet, before it takes the client for a flood: a
/// stream's window full of messages of 30 bytes fits in, as a client of gRPC sends them while the upstream is connected to
/// or does not keep up.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;
/// The least there is (RFC 9113, 4.2). A larger frame saves nothing, and keeps others waiting for longer.
const FRAME: u32 = 16 * 1024;
/// What is taken from an upstream for a stream before the client has taken what came before: as much as a client
/// opens a stream with, so that a slow one costs no more than that and the piece that came last.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset before anybody looked at them. One read brings dozens of frames, and a client that gives up a
/// page gives up all of it at once; beyond that it is a flood (CVE-2023-44487). h2's own figure.
const RESET_UNSEEN: usize = 20;
/// Streams a connection may have reset for its client's errors, in all of its life. A client in order has none, a proxy
/// before many clients passes on those of them. h2's own figure.
const RESET_FOR_ERRORS: usize = 1024;

/// Why a stream is reset.
type Fails = Box<dyn std::error::Error + Send + Sync>;

/// Serves one connection until it ends. `open` is held as long as anything of it runs.
pub(super) async fn run(
    worker: Rc<Local>,
    (mut io, frames): (ClientIo, Guarded),
    peer: Rc<Peer>,
    limits: Limits,
    (mut guard, open): (Guard, Rc<Alive>),
) -> Ended {
    let activity = Rc::clone(&guard.activity);
    activity.speaks_in_streams();
    io.guard_frames(frames);
    let tasks = Tasks {
        born: Rc::default(),
        changing: Rc::default(),
        open: Rc::clone(&open),
    };
    let born = Rc::clone(&tasks.born);
    let changing = Rc::clone(&tasks.changing);
    let held = Rc::clone(&tasks.open);
    let (own, patience) = (Rc::clone(&activity), guard.timeouts.body);
    let service = service_fn(move |mut request: Request<Incoming>| {
        held.counts_stream();
        let bodiless = request.method() == Method::HEAD;
        let connect = request.method() == Method::CONNECT;
        let changes_over = connect.then(|| hyper::upgrade::on(&mut request));
        // Time is looked at only while it drains.
        let deaf = own.is_draining() && own.is_deaf(Instant::now());
        // Without a record: a client that goes on to ask does not keep the connection open with it.
        born.set(deaf.then_some(Born::Refused));
        let begun = (!deaf).then(|| {
            let stream = Activity::stream(&own);
            born.set(Some(Born::Served(Rc::clone(&stream))));
            let (worker, peer) = (Rc::clone(&worker), Rc::clone(&peer));
            let serving = serve(worker, peer, Rc::clone(&stream), request);
            (stream, serving)
        });
        let over = changes_over.map(|over| (over, Rc::clone(&changing), Rc::clone(&held)));
        let own = over.is_some().then(|| Rc::clone(&own));
        // On the heap at once: on its way into a task it would be moved five times, and it is three kilobytes.
        Box::pin(async move {
            let Some((stream, serving)) = begun else {
                // It was not processed, and may be sent again elsewhere (RFC 9113, 8.7).
                return Err(Fails::from(h2::Error::from(h2::Reason::REFUSED_STREAM)));
            };
            let mut answer = serving.await?;
            if let Some((changes_over, changing, held)) = over
                && let Some(tunnel) = answer.body_mut().take_tunnel()
            {
                let sending = Handed::default();
                changing.set(Some(Rc::clone(&sending)));
                spawn_local(panics::contained(Part::Exchange, async move {
                    let _open = held;
                    // Not, if the stream or the connection ended before the answer left; the tunnel then ends with it.
                    if let Ok(bytes) = changes_over.await
                        && let (Some(sending), Some(own)) = (sending.take(), own)
                    {
                        let client = Counting::new(ClientStream::new(bytes, sending), own);
                        tunnel.run(client, Bytes::new()).await;
                    }
                }));
            }
            Ok::<_, Fails>(answer.map(|body| Pieces::new(body, stream, patience, bodiless)))
        })
    });
    let connection = builder(limits, tasks).serve_connection(io, service);
    let _streams = Streams(activity);
    let mut connection = pin!(connection);
    let mut drained = false;
    std::future::poll_fn(|cx| {
        loop {
            // Polled first: a request that waits in the socket is taken before the connection is asked to end.
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ended::By(result));
            }
            if guard.activity.is_draining() && !drained {
                drained = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            match guard.poll(cx) {
                Poll::Pending => return Poll::Pending,
                // Told before it is closed, so that no request is lost that is on its way.
                Poll::Ready(Overdue::Idle) => guard.activity.drain(),
                Poll::Ready(overdue) => return Poll::Ready(Ended::Overdue(overdue)),
            }
        }
    })
    .await
}

fn builder(limits: Limits, tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    let head = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(head)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_FOR_ERRORS)
        .enable_connect_protocol();
    builder
}

/// Ends what is left of the streams when the connection ends, in whatever way.
struct Streams(Rc<Activity>);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.cut_streams();
    }
}

/// Where a tunnel finds the task that sends for its stream.
type Handed = Rc<Cell<Option<Sending>>>;

/// What becomes of a stream that was just accepted.
enum Born {
    /// It is served, and this is its record.
    Served(Rc<Activity>),
    /// It came after the client had been told to end, and is reset as soon as its task runs.
    Refused,
}

/// Starts the tasks of a connection's streams.
#[derive(Clone)]
struct Tasks {
    /// Of the stream that was just accepted: hyper starts its task next.
    born: Rc<Cell<Option<Born>>>,
    /// Of the stream that is just told that it has changed over: hyper hands out the task that sends for it next.
    changing: Rc<Cell<Option<Handed>>>,
    open: Rc<Alive>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let open = Rc::clone(&self.open);
        let stream = match self.born.take() {
            Some(Born::Served(stream)) => stream,
            Some(Born::Refused) => {
                // Dropped unasked it would be reset with CANCEL, which says nothing about whether it was acted on.
                spawn_local(panics::contained(Part::Exchange, async move {
                    let _open = open;
                    task.await;
                }));
                return;
            }
            None => {
                // Of a stream that has changed over. Dropped, where there is no tunnel for it, it resets the stream.
                if let Some(sending) = self.changing.take() {
                    sending.set(Some(Box::pin(task)));
                }
                return;
            }
        };
        let driven = Driven(stream);
        spawn_local(async move {
            let _open = open;
            let stream = &driven.0;
            let mut task = pin!(task);
            let driving = std::future::poll_fn(|cx| {
                stream.watch(cx.waker());
                if stream.is_cut() {
                    return Poll::Ready(());
                }
                task.as_mut().poll(cx)
            });
            panics::contained(Part::Exchange, driving).await;
        });
    }
}

/// Says that nobody drives a stream any more, when that is so.
struct Driven(Rc<Activity>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.driven_no_more();
    }
}
