//! An answer's body on its way through HTTP/2, where the client says stream by stream how much it takes.
//!
//! hyper hands a piece to h2 as soon as there is room for some of it, and has nothing to do with it any more. So each piece
//! knows its stream and says when it moves: a client that opens a stream and takes nothing ends it, instead of keeping
//! the piece for ever.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use crate::activity::Activity;
use crate::exchange::{AnswerBody, AnswerError};

/// The last piece says that it is the last where it is no larger than this; nobody can end a stream alone once all of it
/// was handed over. After a larger one the end waits until it is written.
const LAST: usize = 16 * 1024;

/// An answer's body in pieces that say when they move.
pub(super) struct Pieces {
    body: AnswerBody,
    stream: Rc<Activity>,
    /// How long a client may take nothing.
    patience: Duration,
    /// Whether nothing comes any more, and the last piece said so.
    ended: bool,
    /// Whether nothing comes any more.
    over: bool,
}

impl Pieces {
    /// Unlike over HTTP/1.1, hyper sends whatever body an answer to HEAD has; `bodiless` keeps it here.
    pub(super) fn new(
        body: AnswerBody,
        stream: Rc<Activity>,
        patience: Duration,
        bodiless: bool,
    ) -> Self {
        let ended = bodiless || body.is_end_stream();
        Self {
            body,
            stream,
            patience,
            ended,
            over: ended,
        }
    }
}

impl Body for Pieces {
    type Data = Piece;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, AnswerError>>> {
        let this = self.get_mut();
        if !this.over {
            let next = ready!(Pin::new(&mut this.body).poll_frame(cx));
            match next {
                Some(Ok(frame)) => {
                    let len = frame.data_ref().map(Bytes::len);
                    if let Some(len) = len
                        && this.body.is_whole()
                    {
                        this.over = true;
                        this.ended = len <= LAST;
                    }
                    let piece = |bytes| Piece::new(bytes, &this.stream, this.patience);
                    return Poll::Ready(Some(Ok(frame.map_data(piece))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.over = true,
            }
        }
        if this.stream.is_handing_over() {
            // The last piece wakes the stream's task.
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer that says when it moves.
pub(super) struct Piece {
    bytes: Bytes,
    stream: Rc<Activity>,
}

impl Piece {
    fn new(bytes: Bytes, stream: &Rc<Activity>, patience: Duration) -> Self {
        stream.piece_leaves(patience);
        Self {
            bytes,
            stream: Rc::clone(stream),
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.stream.piece_moves();
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.stream.piece_left();
    }
}
