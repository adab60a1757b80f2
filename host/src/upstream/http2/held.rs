//! A request body on its way over HTTP/2.
//!
//! The connection drives it, and outlives the exchange. So the exchange keeps a hand on it: it can end it, which resets
//! the stream, and it can have it back where the target says that it processed nothing of the stream (RFC 9113, 8.7), if
//! little of it was sent by then.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use super::line::{Streaming, Tasks};
use crate::panics::{self, Part};
use crate::upstream::body::{RequestBody, RequestBodyError};
use crate::upstream::replay::Piece;

/// How much of a body is kept so that it can be told again. The smallest window a target may begin with and that most do
/// (RFC 9113, 6.9.2): more than that is sent only after it answered something.
const KEPT: u64 = 64 * 1024;

/// How long a target may take nothing of a body whose answer is over.
const REST: Duration = Duration::from_secs(5);

/// The connection's end of a request body.
pub struct Held(Option<Telling>);

struct Telling {
    hand: Rc<Hand>,
    /// Learn which of them sends it.
    tasks: Tasks,
    asked: bool,
}

/// The exchange's hand on a request body that is being sent.
pub struct Hand(RefCell<Kept>);

struct Kept {
    /// Away while it is asked.
    body: Option<RequestBody>,
    /// What was told so far; none if that is more than is kept.
    told: Option<Vec<Piece>>,
    bytes: u64,
    /// How many pieces were told.
    pieces: u64,
    ended: bool,
    /// Of whoever waits for the next piece; none while it waits for the target to take the last one.
    waker: Option<Waker>,
    /// Sends it, where that takes its time.
    task: Option<AbortHandle>,
    /// The stream is in use until its body is over.
    streaming: Option<Streaming>,
}

impl Held {
    /// A body, and the hand on it; none where there is no body.
    pub(super) fn new(
        body: RequestBody,
        streaming: &Streaming,
        tasks: &Tasks,
    ) -> (Self, Option<Rc<Hand>>) {
        if matches!(body, RequestBody::Empty) {
            return (Self(None), None);
        }
        let hand = Rc::new(Hand(RefCell::new(Kept {
            body: Some(body),
            told: Some(Vec::new()),
            bytes: 0,
            pieces: 0,
            ended: false,
            waker: None,
            task: None,
            streaming: Some(streaming.clone()),
        })));
        let telling = Telling {
            hand: Rc::clone(&hand),
            tasks: tasks.clone(),
            asked: false,
        };
        (Self(Some(telling)), Some(hand))
    }
}

impl Hand {
    /// Ends the body: the stream is reset.
    pub(super) fn end(&self) {
        let mut kept = self.0.borrow_mut();
        kept.ended = true;
        let gone = (kept.body.take(), kept.streaming.take(), kept.told.take());
        let (waker, task) = (kept.waker.take(), kept.task.take());
        drop(kept);
        drop(gone);
        match (waker, task) {
            // It asks for the next piece and is told that there is none.
            (Some(waker), _) => waker.wake(),
            // It waits for the target to take what it has, and asks for nothing; the stream is reset once nobody has it.
            (None, Some(task)) => task.abort(),
            (None, None) => {}
        }
    }

    /// The answer is over, but the body may not be: it goes on for as long as the target takes pieces of it. How long the
    /// client may take to send one has a limit elsewhere.
    pub(super) fn outlives(self: Rc<Self>) {
        if self.0.borrow().streaming.is_none() {
            return;
        }
        spawn_local(panics::contained(Part::Upstream, async move {
            let mut before = None;
            loop {
                let Some(now) = self.stands_at() else {
                    return;
                };
                if now.is_some() && now == before {
                    return self.end();
                }
                before = now;
                sleep(REST).await;
            }
        }));
    }

    /// How many pieces were told, while it waits for the target to take one; none: it is over.
    #[expect(
        clippy::option_option,
        reason = "over, or not waiting, or waiting at a piece"
    )]
    fn stands_at(&self) -> Option<Option<u64>> {
        let kept = self.0.borrow();
        kept.streaming.as_ref()?;
        Some(kept.waker.is_none().then_some(kept.pieces))
    }

    /// This is the task that sends it.
    pub(super) fn is_sent_by(&self, task: AbortHandle) {
        self.0.borrow_mut().task = Some(task);
    }

    /// It will not be told again.
    pub(super) fn keeps_nothing(&self) {
        let told = self.0.borrow_mut().told.take();
        drop(told);
    }

    /// Takes the body back, as if nothing of it had been told; none if more was told than is kept.
    pub(super) fn take_back(&self) -> Option<RequestBody> {
        let mut kept = self.0.borrow_mut();
        let told = kept.told.take()?;
        let rest = kept.body.take()?;
        kept.ended = true;
        kept.streaming = None;
        if told.is_empty() {
            return Some(rest);
        }
        Some(RequestBody::Piped(Box::pin(Again {
            told: told.into(),
            rest,
        })))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut kept = self.0.borrow_mut();
        kept.waker = None;
        // Whoever is asked may end the body meanwhile.
        let body = kept.body.take();
        drop(kept);
        let Some(mut body) = body else {
            return Poll::Ready(Some(Err(Reason::CANCEL.into())));
        };
        let polled = Pin::new(&mut body).poll_frame(cx);
        let mut kept = self.0.borrow_mut();
        if kept.ended {
            drop(kept);
            return Poll::Ready(Some(Err(Reason::CANCEL.into())));
        }
        kept.body = Some(body);
        match polled {
            Poll::Pending => {
                kept.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                kept.tell(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            // Why it ended is known to the exchange; the target learns that nobody wants the answer any more.
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Reason::CANCEL.into()))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }
}

impl Kept {
    fn tell(&mut self, frame: &Frame<Bytes>) {
        self.pieces = self.pieces.wrapping_add(1);
        let (Some(told), Some(piece)) = (&mut self.told, Piece::of(frame)) else {
            return;
        };
        self.bytes = self.bytes.saturating_add(piece.cost());
        if self.bytes > KEPT {
            self.told = None;
        } else {
            piece.keep(told);
        }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let Some(telling) = &mut self.get_mut().0 else {
            return Poll::Ready(None);
        };
        if !std::mem::replace(&mut telling.asked, true) {
            telling.tasks.expect(&telling.hand);
        }
        telling.hand.poll_next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|telling| {
            let kept = telling.hand.0.borrow();
            kept.body.as_ref().is_some_and(Body::is_end_stream)
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(
            || SizeHint::with_exact(0),
            |telling| {
                let kept = telling.hand.0.borrow();
                kept.body
                    .as_ref()
                    .map_or_else(SizeHint::new, Body::size_hint)
            },
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The stream takes no more of it. The rest stays with the exchange, which may want it back.
        if let Some(telling) = &self.0 {
            telling.tasks.expect_no_more(&telling.hand);
            let mut kept = telling.hand.0.borrow_mut();
            let over = (kept.streaming.take(), kept.task.take());
            drop(kept);
            drop(over);
        }
    }
}

/// A body from its beginning, although some of it was told before.
struct Again {
    told: VecDeque<Piece>,
    rest: RequestBody,
}

impl Body for Again {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match self.told.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece.into_frame()))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.told.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let told = self.told.iter().map(Piece::len);
        match (self.rest.size_hint().exact(), told.sum::<u64>()) {
            (Some(rest), told) => SizeHint::with_exact(rest.saturating_add(told)),
            (None, _) => SizeHint::new(),
        }
    }
}
