//! An answer's body that goes through plugins on its way to the client.
//!
//! The client's connection polls it and so drives the plugins: when the client takes no more, nobody reads the upstream.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context as Task, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::Exchange;
use super::answer::{AnswerError, Relay};
use super::flow::{Came, Stop};
use crate::context::Lane;
use crate::endpoint::NOWHERE;
use crate::respond::failure::{Failure, UpstreamFault};
use crate::stream::Need;
use crate::upstream::interim::FIELDS;

/// An answer's body that goes through plugins.
pub(super) struct Filtered {
    source: Source,
    first: Option<Frame<Bytes>>,
    /// How long it will be, if that is known.
    len: Option<u64>,
    /// Whether a hook made it stand still.
    stood: bool,
}

/// Where it comes from.
pub(super) enum Source {
    /// Made here.
    Whole(Bytes),
    /// As it comes from the upstream.
    Upstream(Relay),
    /// All of it was fed.
    Fed,
}

impl Filtered {
    /// Of a body whose plugins are in place.
    pub(super) fn new(exchange: &Exchange, source: Source, need: Need) -> Box<Self> {
        let len = match &source {
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Upstream(relay) => relay.len(),
            Source::Fed => Some(0),
        };
        let mut filtered = Self {
            source,
            first: None,
            len: len.filter(|_| !need.changes()),
            stood: false,
        };
        match std::mem::replace(&mut filtered.source, Source::Fed) {
            Source::Upstream(relay) if !relay.is_over() => {
                filtered.source = Source::Upstream(relay);
            }
            Source::Whole(bytes) => {
                exchange.feed(Lane::Response, bytes);
                exchange.feed_end(Lane::Response, None);
            }
            Source::Upstream(_) | Source::Fed => exchange.feed_end(Lane::Response, None),
        }
        Box::new(filtered)
    }

    /// Whether nothing will come any more.
    pub(super) fn is_fed(&self) -> bool {
        matches!(self.source, Source::Fed)
    }

    /// Until the first bytes pass all plugins, or there are none. So its length may be known before the head leaves, and a
    /// failure still becomes an answer.
    ///
    /// # Errors
    /// It ended early.
    pub(super) async fn begun(&mut self, exchange: &Rc<Exchange>) -> Result<(), AnswerError> {
        let first = poll_fn(|cx| self.poll_next(exchange, cx)).await;
        self.len = match first.transpose()? {
            Some(frame) => {
                let bytes = frame.data_ref();
                let len = bytes.and_then(|bytes| exchange.flow_len(Lane::Response, bytes));
                self.first = Some(frame);
                len
            }
            None => Some(0),
        };
        Ok(())
    }

    /// Whether it is known to be empty.
    pub(super) fn is_empty(&self) -> bool {
        self.len == Some(0) && self.first.is_none()
    }

    /// Whether all of it was passed on.
    pub(super) fn is_whole(&self, exchange: &Exchange) -> bool {
        self.first.is_none() && self.is_fed() && exchange.flow_is_over(Lane::Response)
    }

    pub(super) fn poll_next(
        &mut self,
        exchange: &Rc<Exchange>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let generation = Rc::clone(&exchange.generation);
        let Some(snapshot) = generation.snapshot() else {
            return Poll::Ready(None);
        };
        loop {
            let Poll::Ready(came) = exchange.poll_flow(Lane::Response, snapshot, cx) else {
                self.stood = true;
                return Poll::Pending;
            };
            match came {
                Came::Data(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Came::Trailers(fields) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Came::Stopped(Stop::Failure(failure)) => {
                    return Poll::Ready(Some(Err(AnswerError::Plugin(failure))));
                }
                // No hook of an answer's body may make another answer, and the chain knows that.
                Came::Over | Came::Stopped(Stop::Answer(_)) => return Poll::Ready(None),
                Came::More => {
                    if let Some(Err(error)) = ready!(self.poll_source(exchange, cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }

    /// Feeds what comes from the upstream next.
    fn poll_source(
        &mut self,
        exchange: &Exchange,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<(), AnswerError>>> {
        let Source::Upstream(relay) = &mut self.source else {
            exchange.feed_end(Lane::Response, None);
            return Poll::Ready(None);
        };
        if std::mem::take(&mut self.stood) {
            relay.was_held();
        }
        let fields = match ready!(relay.poll_next(exchange.activity(), cx)) {
            None => None,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => {
                    exchange.feed(Lane::Response, bytes);
                    // The end is known with the last piece where there is a length; whoever takes that may not ask again.
                    if !relay.is_over() {
                        return Poll::Ready(Some(Ok(())));
                    }
                    None
                }
                Err(frame) => frame.into_trailers().ok(),
            },
        };
        exchange.feed_end(Lane::Response, fields);
        self.source = Source::Fed;
        Poll::Ready(None)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.len
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl AnswerError {
    /// What it means while the head of the answer has not left.
    pub(super) fn before_the_head(self, exchange: &Exchange) -> Failure {
        let target = exchange.context.borrow().figures.target.clone();
        let target = target.unwrap_or(NOWHERE);
        match self {
            Self::Plugin(failure) => failure,
            Self::Panicked(panicked) => Failure::Panicked(panicked),
            Self::Upstream(source) => UpstreamFault::Died { target, source }.into(),
            Self::Crowded => UpstreamFault::Malformed {
                target,
                text: format!("it has more than {FIELDS} trailers"),
            }
            .into(),
            Self::Overdue => UpstreamFault::Overdue { its_own: false }.into(),
            Self::Idle(limit) => UpstreamFault::TimedOut {
                target,
                what: "finish its answer",
                limit,
            }
            .into(),
        }
    }
}
