//! Request bodies that can be told again from their beginning.
//!
//! What was told of a body is kept while it is on its way: pieces that share their bytes with what was sent, up to a limit;
//! small ones are gathered, so that a body of single bytes costs no more than its length says.
//! Beyond that the record is dropped, and the request goes on as one that is sent once. The body itself stays with the
//! record, and whoever sends it holds a [`Reader`]: so an attempt that failed halfway leaves the rest of the body where it
//! is, and the next one begins with the record and goes on with the rest.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

use super::body::{BodyFault, RequestBody, RequestBodyError};

/// A piece of a body that was told.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Data(Bytes),
    /// Several small ones, copied: each of them would cost more than its bytes.
    Gathered(Vec<u8>),
    Trailers(HeaderMap),
}

/// Shorter pieces are gathered.
const SMALL: usize = 512;

/// No longer than this.
const GATHERED: usize = 8 * 1024;

/// What a trailer field costs besides its name and its value.
const FIELD: u64 = 64;

impl Piece {
    /// Keeps a piece behind those that are kept already.
    pub(super) fn keep(self, told: &mut Vec<Self>) {
        match (self, told.last_mut()) {
            (Self::Data(bytes), Some(last)) if bytes.len() < SMALL => {
                if let Some(bytes) = last.gather(bytes) {
                    told.push(Self::Data(bytes));
                }
            }
            (piece, _) => told.push(piece),
        }
    }

    /// Adds a small piece to this one; gives it back where it has no place there.
    fn gather(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::Data(small) if small.len() < SMALL => {
                *self = Self::Gathered([&small[..], &bytes[..]].concat());
            }
            Self::Gathered(gathered) if gathered.len() < GATHERED => {
                gathered.extend_from_slice(&bytes);
            }
            _ => return Some(bytes),
        }
        None
    }

    /// What it counts of what may be kept.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Data(_) | Self::Gathered(_) => self.len(),
            Self::Trailers(fields) => fields
                .iter()
                .map(|(name, value)| (name.as_str().len() + value.len()) as u64 + FIELD)
                .sum(),
        }
    }

    pub(super) fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().cloned().map(Self::Data);
        data.or_else(|| frame.trailers_ref().cloned().map(Self::Trailers))
    }

    pub(super) fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(bytes) => Frame::data(bytes),
            Self::Gathered(bytes) => Frame::data(bytes.into()),
            Self::Trailers(fields) => Frame::trailers(fields),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Gathered(bytes) => bytes.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}

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
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    /// Comes in these pieces; none: it breaks.
    struct Pieces(VecDeque<Option<&'static str>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = RequestBodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
            let next = self.0.pop_front();
            Poll::Ready(next.map(|piece| match piece {
                Some(piece) => Ok(Frame::data(Bytes::from_static(piece.as_bytes()))),
                None => Err(RequestBodyError(BodyFault::Broken)),
            }))
        }
    }

    /// A body that comes in these pieces, recorded.
    fn recorded(pieces: &[&'static str], limit: u64) -> (Tape, RequestBody) {
        breaking(pieces.iter().copied().map(Some), limit)
    }

    fn breaking(
        pieces: impl IntoIterator<Item = Option<&'static str>>,
        limit: u64,
    ) -> (Tape, RequestBody) {
        let mut body = RequestBody::Piped(Box::pin(Pieces(pieces.into_iter().collect())));
        (Tape::record(&mut body, limit), body)
    }

    /// The next piece; empty at the end.
    #[track_caller]
    fn next(body: &mut RequestBody) -> Result<Bytes, RequestBodyError> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(body).poll_frame(&mut cx) {
            Poll::Pending => panic!("it is there"),
            Poll::Ready(None) => Ok(Bytes::new()),
            Poll::Ready(Some(frame)) => frame.map(|frame| frame.into_data().unwrap_or_default()),
        }
    }

    fn rest(body: &mut RequestBody) -> Vec<Bytes> {
        std::iter::from_fn(|| next(body).ok().filter(|piece| !piece.is_empty())).collect()
    }

    #[test]
    fn what_was_told_comes_first_and_then_the_rest() {
        let (tape, mut first) = recorded(&["one", "two", "three"], 100);
        assert_eq!(next(&mut first).unwrap(), "one");
        let mut second = tape.rewind().expect("it is whole");
        assert!(next(&mut first).is_err(), "it is somebody else's now");
        assert_eq!(next(&mut second).unwrap(), "one");
        assert_eq!(next(&mut second).unwrap(), "two");
        assert!(!tape.was_told());
        let mut third = tape.rewind().expect("it is whole");
        assert!(next(&mut second).is_err());
        assert!(!tape.was_told());
        assert_eq!(rest(&mut third).concat(), b"onetwothree");
        assert!(tape.was_told());
        assert_eq!(rest(&mut tape.rewind().unwrap()).concat(), b"onetwothree");
    }

    #[test]
    fn pieces_are_shared_and_not_copied() {
        let (tape, mut first) = recorded(&["shared"], 100);
        let told = next(&mut first).unwrap();
        let again = next(&mut tape.rewind().unwrap()).unwrap();
        assert_eq!(told.as_ptr(), again.as_ptr());
    }

    #[test]
    fn small_pieces_are_gathered_and_trailers_count() {
        let (tape, mut first) = recorded(&["x"; 65_536], 65_536);
        assert_eq!(rest(&mut first).len(), 65_536);
        let Tape::Running(running) = &tape else {
            panic!("it comes piece by piece");
        };
        assert!(running.borrow().told.len() <= 9);
        let again = rest(&mut tape.rewind().expect("it is whole"));
        assert_eq!(again.concat(), vec![b'x'; 65_536]);
        assert!(again.len() <= 9);
        let mut fields = HeaderMap::new();
        fields.insert("x-sum", http::HeaderValue::from_static("12345"));
        assert_eq!(Piece::Trailers(fields).cost(), 10 + FIELD);
    }

    #[test]
    fn beyond_the_limit_it_goes_on_and_is_told_once() {
        let (tape, mut body) = recorded(&["12345", "67890", "x", "y"], 10);
        assert_eq!(next(&mut body).unwrap(), "12345");
        assert_eq!(next(&mut body).unwrap(), "67890");
        assert!(tape.is_whole());
        let mut again = tape.rewind().expect("it is whole");
        assert_eq!(rest(&mut again), ["1234567890", "x", "y"]);
        assert!(!tape.is_whole());
        assert!(tape.rewind().is_none());
    }

    #[test]
    fn the_body_goes_on_without_its_record() {
        let (tape, mut first) = recorded(&["one", "two"], 100);
        assert_eq!(next(&mut first).unwrap(), "one");
        let mut again = tape.rewind().unwrap();
        drop(tape);
        assert_eq!(rest(&mut again), ["one", "two"]);
    }

    #[test]
    fn a_body_that_broke_is_not_told_again() {
        let (tape, mut body) = breaking([Some("one"), None], 100);
        assert_eq!(next(&mut body).unwrap(), "one");
        assert!(next(&mut body).is_err());
        assert!(!tape.is_whole() && tape.rewind().is_none());
    }
}
