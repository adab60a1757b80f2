//! What is told again, and from where.

use std::collections::VecDeque;
use std::task::Waker;

use http::HeaderMap;

use super::piece::FIELD;
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
