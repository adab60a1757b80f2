//! Request bodies that can be told again from their beginning.
//!
//! What was told of a body is kept while it is on its way: pieces that share their bytes with what was sent, up to a limit;
//! small ones are gathered, so that a body of single bytes costs no more than its length says.
//! Beyond that the record is dropped, and the request goes on as one that is sent once. The body itself stays with the
//! record, and whoever sends it holds a [`Reader`]: so an attempt that failed halfway leaves the rest of the body where it
//! is, and the next one begins with the record and goes on with the rest.

mod piece;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

pub(super) use piece::Piece;

use super::body::{BodyFault, RequestBody, RequestBodyError};

/// What is kept of a request's body. Dropping it ends the record; the body goes on.
pub(super) enum Tape {
    /// There is no body.
    Empty,
    /// All of it was there before it was sent.
    Whole(Bytes),
    /// It comes piece by piece.
    Running(Rc<RefCell<Running>>),
}

/// A body on its way, and what was told of it.
#[derive(Debug)]
pub(super) struct Running {
    /// Away while it is asked.
    source: Option<RequestBody>,
    told: Vec<Piece>,
    /// How many of these the reader was told.
    at: usize,
    /// How many bytes may still be kept; none: it cannot be told again.
    left: Option<u64>,
    /// Whether the source has ended.
    over: bool,
    /// Which reader may go on: each beginning counts.
    round: u32,
}

/// A body on its way, as one attempt sends it.
#[derive(Debug)]
pub struct Reader {
    running: Rc<RefCell<Running>>,
    round: u32,
}

impl Tape {
    /// Records a body from here on, as far as `limit`.
    pub(super) fn record(body: &mut RequestBody, limit: u64) -> Self {
        match body {
            RequestBody::Empty => Self::Empty,
            RequestBody::Whole(bytes) if bytes.len() as u64 <= limit => Self::Whole(bytes.clone()),
            _ => {
                let running = Rc::new(RefCell::new(Running {
                    source: Some(std::mem::replace(body, RequestBody::Empty)),
                    told: Vec::new(),
                    at: 0,
                    left: Some(limit),
                    over: false,
                    round: 0,
                }));
                *body = RequestBody::Kept(Reader {
                    running: Rc::clone(&running),
                    round: 0,
                });
                Self::Running(running)
            }
        }
    }

    /// Whether it can be told again.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(_) => true,
            Self::Running(running) => running.borrow().left.is_some(),
        }
    }

    /// Whether all of it was told.
    pub(super) fn was_told(&self) -> bool {
        match self {
            // What is small was sent with its head.
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Running(running) => {
                let running = running.borrow();
                running.is_over() && running.at == running.told.len()
            }
        }
    }

    /// The body from its beginning; whoever read it before gets nothing more. None if it cannot be told again.
    pub(super) fn rewind(&self) -> Option<RequestBody> {
        let running = match self {
            Self::Empty => return Some(RequestBody::Empty),
            Self::Whole(bytes) => return Some(RequestBody::Whole(bytes.clone())),
            Self::Running(running) => running,
        };
        let mut now = running.borrow_mut();
        now.left?;
        now.at = 0;
        now.round = now.round.wrapping_add(1);
        Some(RequestBody::Kept(Reader {
            running: Rc::clone(running),
            round: now.round,
        }))
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        if let Self::Running(running) = self {
            running.borrow_mut().keep_no_more();
        }
    }
}

impl Running {
    /// It will not be told again; what the reader has still to be told stays.
    fn keep_no_more(&mut self) {
        self.left = None;
        self.forget_told();
    }

    fn forget_told(&mut self) {
        if self.left.is_none() && self.at >= self.told.len() {
            self.told = Vec::new();
            self.at = 0;
        }
    }

    fn tell(&mut self, frame: &Frame<Bytes>) {
        let (Some(left), Some(piece)) = (self.left, Piece::of(frame)) else {
            return;
        };
        self.left = left.checked_sub(piece.cost());
        if self.left.is_some() {
            // The reader was told all that is kept so far, so that nothing it has still to be told grows.
            piece.keep(&mut self.told);
        }
        // The reader has just been told this as well.
        self.at = self.told.len();
        self.forget_told();
    }

    fn is_over(&self) -> bool {
        self.over || self.source.as_ref().is_some_and(Body::is_end_stream)
    }
}

impl Reader {
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let mut running = self.running.borrow_mut();
        if running.round != self.round {
            return Poll::Ready(Some(Err(RequestBodyError(BodyFault::Stopped))));
        }
        let at = running.at;
        if let Some(piece) = running.told.get(at).cloned() {
            running.at += 1;
            running.forget_told();
            return Poll::Ready(Some(Ok(piece.into_frame())));
        }
        if running.over {
            return Poll::Ready(None);
        }
        // Plugins that see it may do anything meanwhile.
        let source = running.source.take();
        drop(running);
        let Some(mut source) = source else {
            return Poll::Ready(Some(Err(RequestBodyError(BodyFault::Stopped))));
        };
        let polled = Pin::new(&mut source).poll_frame(cx);
        let mut running = self.running.borrow_mut();
        running.source = Some(source);
        let next = ready!(polled);
        match &next {
            Some(Ok(frame)) => {
                running.over = frame.is_trailers();
                running.tell(frame);
            }
            // The part is not the whole.
            Some(Err(_)) => running.keep_no_more(),
            None => running.over = true,
        }
        Poll::Ready(next)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let running = self.running.borrow();
        running.at >= running.told.len() && running.is_over()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let running = self.running.borrow();
        let told = running.told.iter().skip(running.at).map(Piece::len).sum();
        match &running.source {
            _ if running.over => SizeHint::with_exact(told),
            Some(source) => match source.size_hint().exact() {
                Some(rest) => SizeHint::with_exact(rest.saturating_add(told)),
                None => SizeHint::new(),
            },
            None => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests;
