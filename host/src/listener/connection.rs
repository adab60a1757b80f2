//! One connection, from accept to close.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::io::ClientIo;
use crate::activity::{Activity, Overdue};
use crate::config::ready::{ClientTimeouts, Limits};
use crate::exchange::{Peer, serve};
use crate::local::Local;

/// Room hyper needs at the least.
const LEAST_BUFFER: usize = 8 * 1024;

/// How many header fields hyper admits unless told otherwise.
const HYPER_HEADERS: usize = 100;

/// Serves one connection until it ends.
pub async fn run(worker: Rc<Local>, stream: TcpStream, activity: Rc<Activity>) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return; // gone before it was looked at
    };
    // Small answers must not wait for the client's acknowledgements; failure costs latency, not correctness.
    let _ = stream.set_nodelay(true);
    let Some((limits, timeouts)) = limits(&worker) else {
        return;
    };
    let facts = Rc::new(Peer::new(peer, local, Rc::clone(&activity)));
    let io = ClientIo::new(stream, Rc::clone(&activity));
    let service = service_fn(move |request| serve(Rc::clone(&worker), Rc::clone(&facts), request));
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        .header_read_timeout(None);
    if limits.headers != HYPER_HEADERS {
        // Said only where it differs: hyper then takes room for the fields from the heap.
        builder.max_headers(limits.headers);
    }
    let connection = builder.serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut drained = false;
    let mut guard = Guard::new(activity, timeouts);
    let ended = std::future::poll_fn(|cx| {
        // Polled first: a request that waits in the socket is taken before the connection is asked to end.
        let mut polled = connection.as_mut().poll(cx);
        if polled.is_pending() && guard.activity.is_draining() && !drained {
            drained = true;
            connection.as_mut().graceful_shutdown();
            polled = connection.as_mut().poll(cx);
        }
        match polled {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            Poll::Pending => guard.poll(cx).map(Err),
        }
    })
    .await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(target: "connection", %peer, "{}", said(&error)),
        Err(overdue) => {
            // The socket is closed without a word: whoever does not finish a head does not wait for an answer.
            tracing::debug!(target: "connection", %peer, ?overdue, "client took too long");
        }
    }
}

/// The limits in force when the connection begins.
fn limits(worker: &Local) -> Option<(Limits, ClientTimeouts)> {
    let generation = worker.generation();
    let settings = &generation.snapshot()?.settings;
    Some((settings.limits, settings.client_timeouts))
}

/// An error with its causes in one line.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("connection ended: {error}: {cause}"),
        None => format!("connection ended: {error}"),
    }
}

/// Holds a connection to its limits with one timer, which moves only when a limit comes nearer: a busy connection
/// costs it nothing.
struct Guard {
    activity: Rc<Activity>,
    timeouts: ClientTimeouts,
    timer: Pin<Box<Sleep>>,
}

impl Guard {
    fn new(activity: Rc<Activity>, timeouts: ClientTimeouts) -> Self {
        let timer = Box::pin(sleep_until((Instant::now() + timeouts.header).into()));
        Self {
            activity,
            timeouts,
            timer,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        self.activity.watch(cx.waker());
        let due = self.activity.deadline(&self.timeouts);
        if let Some((at, _)) = due
            && at < self.timer.deadline().into_std()
        {
            self.timer.as_mut().reset(at.into());
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.activity.deadline(&self.timeouts);
            // While nothing is waited for, look again later; a limit that comes nearer moves the timer before that.
            let later = now + self.timeouts.idle.max(self.timeouts.header);
            let next = match due {
                Some((at, Overdue::Upstream)) if at <= now => {
                    // Not the client's doing: the exchange is told, and answers.
                    self.activity.answer_is_late();
                    cx.waker().wake_by_ref();
                    later
                }
                Some((at, Overdue::Look)) if at <= now => {
                    // The socket looks when it is asked to flush, which hyper does whenever it is polled.
                    self.activity.look_is_due(now);
                    cx.waker().wake_by_ref();
                    self.activity
                        .deadline(&self.timeouts)
                        .map_or(later, |(at, _)| at)
                }
                Some((at, overdue)) if at <= now => return Poll::Ready(overdue),
                Some((at, _)) => at,
                None => later,
            };
            self.timer.as_mut().reset(next.into());
        }
        Poll::Pending
    }
}
