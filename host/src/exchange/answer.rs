//! An answer on its way to the client: relayed as it comes, and the end of the exchange when it is over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;

use super::Running;
use crate::upstream::idle::Idle;
use crate::upstream::send::Lease;

/// Why an answer broke off after its head was sent; the client's connection is reset, so that it cannot take the part
/// for the whole.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The upstream broke off, or its body is malformed.
    #[error("the upstream broke off inside the answer: {0}")]
    Upstream(hyper::Error),
    /// Nothing came for too long.
    #[error("the upstream sent nothing for {0:?} inside the answer")]
    Idle(Duration),
}

/// An answer on its way to the client. When it is over or dropped, so is the exchange.
pub struct AnswerBody {
    source: Source,
    exchange: Running,
}

enum Source {
    /// Made here.
    Whole(Option<Bytes>),
    /// As it comes from the upstream.
    Upstream(Relay),
    /// Over.
    Done,
}

/// The body of an upstream's answer.
struct Relay {
    incoming: Incoming,
    lease: Option<Lease>,
    idle: Idle,
}

impl AnswerBody {
    /// A body made here.
    #[must_use]
    pub fn whole(bytes: Bytes, exchange: Running) -> Self {
        Self {
            source: Source::Whole(Some(bytes)),
            exchange,
        }
    }

    /// The body of an upstream's answer.
    #[must_use]
    pub fn relayed(incoming: Incoming, lease: Lease, idle: Duration, exchange: Running) -> Self {
        if incoming.is_end_stream() {
            lease.give_back();
            return Self {
                source: Source::Done,
                exchange,
            };
        }
        let relay = Relay {
            incoming,
            lease: Some(lease),
            idle: Idle::new(idle),
        };
        Self {
            source: Source::Upstream(relay),
            exchange,
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
        let next = match &mut this.source {
            Source::Done => None,
            Source::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            Source::Upstream(relay) => ready!(relay.poll_data(cx)),
        };
        match next {
            Some(Ok(data)) => {
                this.exchange.count_sent(data.len());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => {
                this.source = Source::Done;
                this.exchange.broke_off(&error);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                this.source = Source::Done;
                this.exchange.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Done => true,
            Source::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Upstream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Done => SizeHint::with_exact(0),
            Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Source::Upstream(relay) => relay.incoming.size_hint(),
        }
    }
}

impl Relay {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(AnswerError::Upstream(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers end here, as in the other direction.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    self.idle.progress();
                    if self.incoming.is_end_stream() {
                        self.give_back();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Pending => {
                    ready!(self.idle.poll_over(cx));
                    return Poll::Ready(Some(Err(AnswerError::Idle(self.idle.limit))));
                }
            }
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}
