//! An answer on its way to the client: relayed as it comes, and the end of the exchange when it is over.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;

use super::filtered::Filtered;
use super::tunnel::Tunnel;
use super::{Exchange, Running};
use crate::activity::Activity;
use crate::context::trailers;
use crate::panics::{self, Panicked, Part};
use crate::respond::failure::Failure;
use crate::upstream::first::First;
use crate::upstream::idle::Idle;
use crate::upstream::interim::FIELDS;
use crate::upstream::lease::Lease;

/// Why an answer broke off after its head was sent; the client's connection is reset, so that it cannot take the part
/// for the whole.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The upstream broke off, or its body is malformed.
    #[error("the upstream broke off inside the answer: {0}")]
    Upstream(hyper::Error),
    /// More fields stand behind its body than hyper takes of HTTP/1.1.
    #[error("the upstream sent more than {FIELDS} trailers")]
    Crowded,
    /// Nothing came for too long.
    #[error("the upstream sent nothing for {0:?} inside the answer")]
    Idle(Duration),
    /// All of the exchange took too long.
    #[error(
        "the exchange with the upstream took longer than timeouts.total, and ended inside the answer"
    )]
    Overdue,
    /// A plugin failed inside it.
    #[error("{0}")]
    Plugin(Failure),
    /// The gateway did.
    #[error("the answer broke off, for the gateway {0}")]
    Panicked(Panicked),
}

/// An answer on its way to the client. When it is dropped, the exchange is over; when it is handed over, the exchange is
/// over once plugins have seen all of the request's body.
pub struct AnswerBody {
    source: Source,
    /// None where there is a tunnel, which ends the exchange itself, and where there is no exchange.
    exchange: Option<Running>,
}

enum Source {
    /// Made here.
    Whole(Option<Bytes>),
    /// As it comes from the upstream.
    Upstream(Relay),
    /// As plugins pass it on.
    Filtered(Box<Filtered>),
    /// None: the connection changes over to another protocol.
    Tunnel(Box<Tunnel>),
    /// Over.
    Done,
}

/// The body of an upstream's answer.
pub(super) struct Relay {
    incoming: Incoming,
    /// What was taken of it already.
    first: First,
    lease: Option<Lease>,
    idle: Idle,
    /// Whether its status has no body; what comes all the same goes nowhere.
    for_nobody: bool,
}

impl AnswerBody {
    /// A body made here.
    #[must_use]
    pub fn whole(bytes: Bytes, exchange: Running) -> Self {
        Self {
            source: Source::Whole(Some(bytes)),
            exchange: Some(exchange),
        }
    }

    /// A body of no exchange.
    #[must_use]
    pub(super) fn unheard(bytes: Bytes) -> Self {
        Self {
            source: Source::Whole(Some(bytes)),
            exchange: None,
        }
    }

    /// The body of an upstream's answer.
    #[must_use]
    pub(super) fn relayed(relay: Relay, exchange: Running) -> Self {
        let source = if relay.is_whole() {
            Source::Done
        } else {
            Source::Upstream(relay)
        };
        Self {
            source,
            exchange: Some(exchange),
        }
    }

    /// Whether nothing will come any more.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.source {
            Source::Done => true,
            Source::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Upstream(relay) => relay.is_whole(),
            Source::Filtered(filtered) => {
                let exchange = self.exchange.as_ref();
                exchange.is_some_and(|exchange| filtered.is_whole(exchange))
            }
            Source::Tunnel(_) => false,
        }
    }

    /// A body that plugins pass on.
    pub(super) fn filtered(filtered: Box<Filtered>, exchange: Running) -> Self {
        Self {
            source: Source::Filtered(filtered),
            exchange: Some(exchange),
        }
    }

    /// No body: the connection changes over to another protocol.
    pub(super) fn tunnel(tunnel: Box<Tunnel>) -> Self {
        Self {
            source: Source::Tunnel(tunnel),
            exchange: None,
        }
    }

    /// What the connection is to be given to once this answer was sent. Whoever does not take it ends it.
    pub(crate) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::replace(&mut self.source, Source::Done) {
            Source::Tunnel(tunnel) => Some(tunnel),
            other => {
                self.source = other;
                None
            }
        }
    }
}

/// hyper asks no further than to the end that the head told, so this may be how the end is known.
impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let (true, Some(exchange)) = (self.is_whole(), &self.exchange) {
            exchange.finish_answer();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        let Some(exchange) = &this.exchange else {
            let Source::Whole(bytes) = &mut this.source else {
                return Poll::Ready(None);
            };
            let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
            return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
        };
        let source = &mut this.source;
        let polled = panics::caught(Part::Exchange, || {
            exchange.fault("body");
            source.poll_next(exchange, cx)
        });
        let next = match polled {
            Ok(polled) => ready!(polled),
            Err(panicked) => Some(Err(AnswerError::Panicked(panicked))),
        };
        match next {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    exchange.count_sent(data.len());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.source = Source::Done;
                exchange.broke_off(&error);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                this.source = Source::Done;
                exchange.finish_answer();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Done | Source::Tunnel(_) => true,
            Source::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Upstream(_) | Source::Filtered(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Done | Source::Tunnel(_) => SizeHint::with_exact(0),
            Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Source::Upstream(relay) => relay.size_hint(),
            Source::Filtered(filtered) => filtered.size_hint(),
        }
    }
}

impl Source {
    /// The next piece, or the fields at the end.
    fn poll_next(
        &mut self,
        exchange: &Rc<Exchange>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self {
            Self::Done | Self::Tunnel(_) => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Upstream(relay) => relay.poll_next(exchange.activity(), cx),
            Self::Filtered(filtered) => filtered.poll_next(exchange, cx),
        }
    }
}

impl Relay {
    pub(super) fn new((incoming, first): (Incoming, First), lease: Lease, idle: Duration) -> Self {
        let mut relay = Self {
            incoming,
            first,
            lease: Some(lease),
            idle: Idle::new(idle),
            for_nobody: false,
        };
        if relay.is_over() {
            relay.give_back();
        }
        relay
    }

    /// Its status has no body: whatever comes of one ends it, and the connection it comes on.
    pub(super) fn is_for_nobody(&mut self) {
        self.for_nobody = true;
    }

    /// The next piece, or the fields at the end.
    pub(super) fn poll_next(
        &mut self,
        activity: &Activity,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if activity.is_total_over() {
            return Poll::Ready(Some(Err(AnswerError::Overdue)));
        }
        let next = match std::mem::take(&mut self.first) {
            First::Nothing => Pin::new(&mut self.incoming).poll_frame(cx),
            First::Data(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            First::Trailers(fields) => Poll::Ready(Some(Ok(Frame::trailers(*fields)))),
            First::Over => {
                self.first = First::Over;
                Poll::Ready(None)
            }
        };
        match next {
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(AnswerError::Upstream(error)))),
            Poll::Ready(Some(Ok(frame)))
                if self.for_nobody && frame.data_ref().is_some_and(|data| !data.is_empty()) =>
            {
                self.lease = None;
                self.first = First::Over;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                self.idle.progress();
                let fields = frame.trailers_mut();
                // Nothing follows them, and whoever takes them may not ask again.
                let last = fields.is_some();
                if let Some(fields) = fields {
                    if fields.len() > FIELDS {
                        return Poll::Ready(Some(Err(AnswerError::Crowded)));
                    }
                    trailers::clean(fields);
                }
                if last || self.incoming.is_end_stream() {
                    self.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                ready!(self.idle.poll_over(cx));
                Poll::Ready(Some(Err(AnswerError::Idle(self.idle.limit))))
            }
        }
    }

    /// Whether nothing will come any more.
    pub(super) fn is_over(&self) -> bool {
        match self.first {
            First::Nothing => self.incoming.is_end_stream(),
            First::Data(_) | First::Trailers(_) => false,
            First::Over => true,
        }
    }

    /// Whether all of it came.
    fn is_whole(&self) -> bool {
        self.lease.is_none()
    }

    /// How much will come.
    pub(super) fn len(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn size_hint(&self) -> SizeHint {
        match self.first {
            // hyper would say it in the head.
            _ if self.for_nobody => SizeHint::default(),
            First::Nothing => self.incoming.size_hint(),
            // Only of a body in chunks something is taken before, and nobody says how long that is.
            First::Data(_) | First::Trailers(_) | First::Over => SizeHint::default(),
        }
    }

    /// Whoever takes the pieces took none for a while, which is not the upstream's silence.
    pub(super) fn was_held(&mut self) {
        self.idle.progress();
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}
