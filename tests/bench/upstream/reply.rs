//! The bodies of answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use swapgate_bench::pattern;

/// Bytes made at a time.
const PIECE: u64 = 64 << 10;

/// What an answer carries.
#[derive(Debug)]
pub(crate) enum Reply {
    /// These bytes.
    Whole(Full<Bytes>),
    /// Bytes that tell where they stand: those that are still to come.
    Pattern { at: u64, end: u64 },
    /// Whatever comes, as it comes, and trailers that say that the call went well.
    Echo { sent: Incoming, done: bool },
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Pattern { at, end } => {
                Poll::Ready(piece(at, *end).map(|piece| Ok(Frame::data(piece))))
            }
            Self::Echo { sent, done } => poll_echo(sent, done, context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Pattern { at, end } => at == end,
            Self::Echo { done, .. } => *done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Pattern { at, end } => SizeHint::with_exact(end - at),
            Self::Echo { .. } => SizeHint::default(),
        }
    }
}

fn piece(at: &mut u64, end: u64) -> Option<Bytes> {
    let length = PIECE.min(end - *at);
    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
    pattern::fill(*at, &mut piece);
    *at += length;
    (length > 0).then(|| piece.into())
}

fn poll_echo(
    sent: &mut Incoming,
    done: &mut bool,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    loop {
        if *done {
            return Poll::Ready(None);
        }
        match Pin::new(&mut *sent).poll_frame(context) {
            Poll::Pending => return Poll::Pending,
            // Trailers of the request are no messages.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
            Poll::Ready(Some(frame)) => return Poll::Ready(Some(frame)),
            Poll::Ready(None) => {
                *done = true;
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
    }
}
