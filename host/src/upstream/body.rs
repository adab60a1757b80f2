//! A request body on its way to the upstream: counted, limited, never collected.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;

use super::idle::Idle;
use super::replay::Reader;
use crate::activity::Activity;
use crate::config::ready::ClientHeaders;
use crate::context::{client_headers, trailers};

/// What happened to a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// It is larger than the route takes.
    TooLarge,
    /// It is malformed, or its connection ended inside it.
    Broken,
    /// More fields stand behind it than may.
    Crowded,
    /// Nothing came for too long.
    Slow,
    /// A plugin ended it; the exchange knows why.
    Stopped,
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
    /// Whether a plugin that sees it waits, which is not the upstream's silence.
    pub held: Cell<bool>,
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
            held: Cell::new(false),
            complete: Cell::new(false),
            activity,
        })
    }

    fn came_whole(&self) {
        self.complete.set(true);
        self.activity.end_came();
    }

    /// Whether all of it came, and nobody holds it back.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete.get() && !self.held.get()
    }
}

/// A request body on its way to the upstream.
pub enum RequestBody {
    /// There is none; nothing is watched.
    Empty,
    /// All of it is there.
    Whole(Bytes),
    /// As it comes from the client.
    Stream(Box<Stream>),
    /// As it comes, while what was told of it is kept.
    Kept(Reader),
    /// As somebody in between passes it on.
    Piped(Pin<Box<dyn Body<Data = Bytes, Error = RequestBodyError>>>),
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
            Self::Kept(_) => "Kept",
            Self::Piped(_) => "Piped",
        })
    }
}

/// A body that comes from the client.
#[derive(Debug)]
pub struct Stream {
    /// Always there until it is given up or dropped.
    incoming: Option<Incoming>,
    /// The last piece of a body whose length was announced, until the stream says that it has ended.
    last: Option<Frame<Bytes>>,
    /// Bytes that may still come.
    left: u64,
    idle: Idle,
    /// Where the exchange reads what happened.
    watch: Rc<BodyWatch>,
    /// Which fields count that stand behind it, and how many may.
    trailers: (Rc<ClientHeaders>, usize),
}

/// Ends the upstream connection that was taking the body; the exchange reads the reason from [`BodyWatch`].
#[derive(Debug, Error)]
#[error("the request body ended early: {0:?}")]
pub struct RequestBodyError(pub BodyFault);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => stream.poll_next(cx),
            Self::Kept(reader) => reader.poll_next(cx),
            Self::Piped(piped) => piped.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.is_over(),
            Self::Kept(reader) => reader.is_end_stream(),
            Self::Piped(piped) => piped.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint(),
            Self::Kept(reader) => reader.size_hint(),
            Self::Piped(piped) => piped.size_hint(),
        }
    }
}

impl Stream {
    /// A body of at most `limit` bytes, with at most `idle` between two pieces; `trailers` says which fields may stand behind it,
    /// and how many.
    #[must_use]
    pub fn new(
        incoming: Incoming,
        (limit, idle): (u64, Duration),
        watch: Rc<BodyWatch>,
        trailers: (Rc<ClientHeaders>, usize),
    ) -> Self {
        Self {
            incoming: Some(incoming),
            last: None,
            left: limit,
            idle: Idle::new(idle),
            watch,
            trailers,
        }
    }

    /// The next piece, or the fields at the end.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.poll_piece(cx).map(|next| {
            next.map(|piece| {
                piece.map_err(|fault| {
                    self.watch.fault.set(Some(fault));
                    RequestBodyError(fault)
                })
            })
        })
    }

    /// Whether nothing will come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.last.is_none() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    /// How much will come.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }

    /// A plugin that sees the pieces waits.
    pub fn is_held(&self) {
        self.watch.held.set(true);
    }

    /// It goes on. Nobody has asked for pieces for a while, which is neither the client's silence nor the upstream's.
    pub fn was_held(&mut self) {
        self.idle.progress();
        self.watch.held.set(false);
        self.watch.progress.set(Instant::now());
    }

    /// Says why it ends early.
    pub fn stop(&self, fault: BodyFault) {
        self.watch.fault.set(Some(fault));
    }

    /// What is left of the body, for somebody who reads it away and says when that has ended.
    pub fn give_up(&mut self) -> Option<Incoming> {
        self.last = None;
        self.incoming.take()
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if self.watch.complete.get() {
            return Poll::Ready(self.last.take().map(Ok));
        }
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        loop {
            let mut frame = match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Pending => {
                    ready!(self.idle.poll_over(cx));
                    return Poll::Ready(Some(Err(BodyFault::Slow)));
                }
                // hyper says so as well where the client reset its stream with NO_ERROR, and then the part is not the whole.
                Poll::Ready(None)
                    if self.watch.activity.is_stream() && !incoming.is_end_stream() =>
                {
                    return Poll::Ready(Some(Err(BodyFault::Broken)));
                }
                Poll::Ready(None) => {
                    self.watch.came_whole();
                    return Poll::Ready(self.last.take().map(Ok));
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault::Broken))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            self.idle.progress();
            self.watch.progress.set(Instant::now());
            if let Some(fields) = frame.trailers_mut() {
                let (rules, most) = &self.trailers;
                // hyper counts those of HTTP/1.1.
                if fields.len() > *most {
                    return Poll::Ready(Some(Err(BodyFault::Crowded)));
                }
                trailers::clean(fields);
                if !self.watch.activity.is_stream() {
                    // hyper takes lines of trailers that end with a single LF for one line, and whoever before this gateway does
                    // not may have seen the next request where it saw trailers. So none is taken on this connection.
                    self.watch.activity.drain();
                }
                client_headers::clean_trailers(fields, rules);
                // Nothing follows them, and whoever takes them may not ask again.
                self.watch.came_whole();
                let first = match self.last.take() {
                    Some(last) => {
                        self.last = Some(frame);
                        last
                    }
                    None => frame,
                };
                return Poll::Ready(Some(Ok(first)));
            }
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.watch.received.set(self.watch.received.get() + bytes);
            let Some(left) = self.left.checked_sub(bytes) else {
                return Poll::Ready(Some(Err(BodyFault::TooLarge)));
            };
            self.left = left;
            if self.last.is_some() {
                continue; // empty, or it would have been longer than announced
            }
            // All that was announced is there, but the stream is still open. With the last piece the upstream would have the
            // whole request and might answer; the stream would then be reset under a client that is about to end it,
            // and some clients take that for a failure. So the piece waits for the end of its stream.
            let is_last = incoming.size_hint().exact() == Some(0);
            if self.watch.activity.is_stream() && is_last && !incoming.is_end_stream() {
                self.last = Some(frame);
                continue;
            }
            if incoming.is_end_stream() {
                // Whoever takes the last piece may not ask again.
                self.watch.came_whole();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.watch.held.set(false);
        let complete = self.watch.complete.get() || self.is_over();
        // Whoever took what was left says when that ends.
        if self.incoming.is_some() {
            self.watch.activity.body_ends(complete);
        }
    }
}
