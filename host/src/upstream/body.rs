//! A request body on its way to the upstream: counted, limited, never collected.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;

use super::idle::Idle;
use crate::activity::Activity;

/// What happened to a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// It is larger than the route takes.
    TooLarge,
    /// It is malformed, or its connection ended inside it.
    Broken,
    /// Nothing came for too long.
    Slow,
}

/// Shared between a request body, which the upstream connection drives, and its exchange.
#[derive(Debug)]
pub struct BodyWatch {
    /// Why it ended early.
    pub fault: Cell<Option<BodyFault>>,
    /// Bytes received so far.
    pub received: Cell<u64>,
    /// When the last piece came, or the end.
    pub progress: Cell<Instant>,
    complete: Cell<bool>,
    activity: Rc<Activity>,
}

impl BodyWatch {
    /// A body begins on a connection.
    #[must_use]
    pub fn new(activity: Rc<Activity>, now: Instant) -> Rc<Self> {
        activity.body_begins();
        Rc::new(Self {
            fault: Cell::new(None),
            received: Cell::new(0),
            progress: Cell::new(now),
            complete: Cell::new(false),
            activity,
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let complete = self.watch.complete.get() || self.incoming.is_end_stream();
        self.watch.activity.body_ends(complete);
    }
}

/// A request body on its way to the upstream.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none; nothing is watched.
    Empty,
    /// As it comes from the client.
    Stream(Box<Stream>),
}

/// A body that comes from the client.
#[derive(Debug)]
pub struct Stream {
    incoming: Incoming,
    /// Bytes that may still come.
    left: u64,
    idle: Idle,
    /// Where the exchange reads what happened.
    watch: Rc<BodyWatch>,
}

impl RequestBody {
    /// A body of at most `limit` bytes, with at most `idle` between two pieces.
    #[must_use]
    pub fn stream(incoming: Incoming, limit: u64, idle: Duration, watch: Rc<BodyWatch>) -> Self {
        Self::Stream(Box::new(Stream {
            incoming,
            left: limit,
            idle: Idle::new(idle),
            watch,
        }))
    }
}

/// Ends the upstream connection that was taking the body; the exchange reads the reason from [`BodyWatch`].
#[derive(Debug, Error)]
#[error("the request body ended early: {0:?}")]
pub struct RequestBodyError(BodyFault);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Self::Stream(stream) = self.get_mut() else {
            return Poll::Ready(None);
        };
        stream.poll_data(cx).map(|next| {
            next.map(|data| match data {
                Ok(data) => Ok(Frame::data(data)),
                Err(fault) => {
                    stream.watch.fault.set(Some(fault));
                    Err(RequestBodyError(fault))
                }
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl Stream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => {
                    ready!(self.idle.poll_over(cx));
                    return Poll::Ready(Some(Err(BodyFault::Slow)));
                }
                Poll::Ready(None) => {
                    self.watch.complete.set(true);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault::Broken))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle.progress();
                    self.watch.progress.set(Instant::now());
                    // Trailers are not forwarded (RFC 9110, 6.5.1 leaves that open): no plugin has seen them.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let bytes = data.len() as u64;
                    self.watch.received.set(self.watch.received.get() + bytes);
                    let Some(left) = self.left.checked_sub(bytes) else {
                        return Poll::Ready(Some(Err(BodyFault::TooLarge)));
                    };
                    self.left = left;
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}
