//! A request body that goes through plugins on its way to the upstream.
//!
//! The connection to the upstream polls it and so drives the plugins: when that takes no more, nobody reads the client.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::Exchange;
use super::flow::{Came, Stop};
use crate::context::Lane;
use crate::panics::{self, Part};
use crate::respond::failure::Failure;
use crate::stream::Need;
use crate::upstream::body::{BodyFault, BodyWatch, RequestBodyError, Stream};

/// A request body that goes through plugins.
pub(super) struct Pump {
    exchange: Rc<Exchange>,
    /// None: there was no body.
    source: Option<Stream>,
    first: Option<Frame<Bytes>>,
    /// How long it will be, if that is known.
    len: Option<u64>,
    stopped: Rc<Stopped>,
    /// Whether a hook makes it stand still.
    stood: bool,
}

impl Drop for Pump {
    fn drop(&mut self) {
        if self.stood {
            self.exchange.abandon(Lane::Request);
        }
        if let Some(source) = &mut self.source
            && self.stopped.wanted.get()
        {
            *self.stopped.rest.borrow_mut() = source.give_up();
        }
        self.exchange.is_piped_no_more();
    }
}

/// Why a plugin ended the body, and what is left of it.
#[derive(Default)]
pub(super) struct Stopped {
    pub(super) why: RefCell<Option<Stop>>,
    pub(super) rest: RefCell<Option<Incoming>>,
    /// Whether somebody wants what is left of a body that nobody takes.
    pub(super) wanted: Cell<bool>,
}

impl Pump {
    /// Of a body whose plugins are in place.
    pub(super) fn new(exchange: &Rc<Exchange>, source: Option<Stream>, need: Need) -> Self {
        let hint = source
            .as_ref()
            .map_or(Some(0), |source| source.size_hint().exact());
        let pump = Self {
            exchange: Rc::clone(exchange),
            source,
            first: None,
            len: hint.filter(|_| !need.changes()),
            stopped: Rc::default(),
            stood: false,
        };
        exchange.piped.set(true);
        if pump.is_fed() {
            exchange.feed_end(Lane::Request, None);
        }
        pump
    }

    /// Where it says why it was stopped.
    pub(super) fn stopped(&self) -> Rc<Stopped> {
        Rc::clone(&self.stopped)
    }

    /// Whether nothing will come from the client any more.
    pub(super) fn is_fed(&self) -> bool {
        self.source.as_ref().is_none_or(Stream::is_over)
    }

    /// Until the first bytes pass all plugins, or there are none; how long it will be, if that is known then.
    ///
    /// # Errors
    /// It ended early.
    pub(super) async fn begun(&mut self) -> Result<Option<u64>, RequestBodyError> {
        let waits = |exchange: &Exchange, waits| {
            exchange.context.borrow_mut().bodies.head_waits = waits;
        };
        waits(&self.exchange, true);
        let first = poll_fn(|cx| self.poll_next(cx)).await;
        waits(&self.exchange, false);
        self.len = match first.transpose()? {
            Some(frame) => {
                let len = frame
                    .data_ref()
                    .and_then(|bytes| self.exchange.flow_len(Lane::Request, bytes));
                self.first = Some(frame);
                len
            }
            None => Some(0),
        };
        Ok(self.len)
    }

    fn poll_next(
        &mut self,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let generation = Rc::clone(&self.exchange.generation);
        loop {
            if let Some(first) = self.first.take() {
                return Poll::Ready(Some(Ok(first)));
            }
            let over = self.exchange.is_over() || self.exchange.activity().is_cut_for(cx.waker());
            let snapshot = generation.snapshot().filter(|_| !over);
            let Some(snapshot) = snapshot else {
                return Poll::Ready(Some(Err(RequestBodyError(BodyFault::Stopped))));
            };
            let came = self.exchange.poll_flow(Lane::Request, snapshot, cx);
            self.note_standing(came.is_pending());
            match ready!(came) {
                Came::Data(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Came::Trailers(fields) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Came::Over => return Poll::Ready(None),
                Came::Stopped(stop) => return Poll::Ready(Some(Err(self.stop(stop)))),
                Came::More => {
                    if let Some(Err(error)) = ready!(self.poll_source(cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }

    /// While a hook waits, nobody's time runs but its own.
    fn note_standing(&mut self, stands: bool) {
        if self.stood == stands {
            return;
        }
        self.stood = stands;
        match &mut self.source {
            Some(source) if stands => source.is_held(),
            Some(source) => source.was_held(),
            None => {}
        }
    }

    /// Feeds what comes from the client next.
    fn poll_source(&mut self, cx: &mut Task<'_>) -> Poll<Option<Result<(), RequestBodyError>>> {
        let Some(source) = &mut self.source else {
            self.exchange.feed_end(Lane::Request, None);
            return Poll::Ready(None);
        };
        let (bytes, fields) = match ready!(source.poll_next(cx)) {
            None => {
                self.exchange.feed_end(Lane::Request, None);
                return Poll::Ready(None);
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => (bytes, None),
                Err(frame) => (Bytes::new(), frame.into_trailers().ok()),
            },
        };
        self.exchange.feed(Lane::Request, bytes);
        // Its end is known with its last piece where it has a length; whoever takes that may not ask again.
        if fields.is_some() || source.is_over() {
            self.exchange.feed_end(Lane::Request, fields);
        }
        Poll::Ready(Some(Ok(())))
    }

    fn stop(&mut self, stop: Stop) -> RequestBodyError {
        let fault = BodyFault::Stopped;
        if let Some(source) = &mut self.source {
            source.stop(fault);
            // Once an answer has begun nobody reads the rest away.
            if self.exchange.context.borrow().response.is_none() {
                *self.stopped.rest.borrow_mut() = source.give_up();
            }
        }
        stop.log_if_late(&self.exchange);
        *self.stopped.why.borrow_mut() = Some(stop);
        RequestBodyError(fault)
    }
}

impl Body for Pump {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        let polled = panics::caught(Part::Exchange, || {
            this.exchange.fault("request_body");
            this.poll_next(cx)
        });
        let next = match polled {
            Ok(polled) => ready!(polled),
            // The connection to the upstream learns that it ended early, and the exchange why.
            Err(panicked) => Some(Err(this.stop(Stop::Failure(Failure::Panicked(panicked))))),
        };
        if next.as_ref().is_none_or(Result::is_err) {
            this.exchange.is_piped_no_more();
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> SizeHint {
        self.len
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The record of a request body that begins.
pub(super) fn watch(exchange: &Exchange) -> Rc<BodyWatch> {
    let watch = BodyWatch::new(Rc::clone(exchange.activity()), exchange.started);
    let _ = exchange.body.set(Rc::clone(&watch));
    watch
}
