//! One request on a connection that speaks HTTP/2.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use h2::Reason;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::Parts;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::held::{Hand, Held};
use super::line::{Line, Streaming};
use crate::upstream::body::RequestBody;
use crate::upstream::manner::authority;
use crate::upstream::pool::Pool;
use crate::upstream::send::Failed;

/// The right to one stream of a connection. Dropped before its answer is over, it resets the stream.
pub struct Ticket {
    line: Rc<Line>,
    streaming: Streaming,
    hand: Option<Rc<Hand>>,
    /// How often the connection had read something when the request was sent.
    reads: u64,
    /// When that was.
    sent: Option<Instant>,
    over: bool,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.line)
    }
}

/// A request as it is sent, and its head as it was.
pub struct Written {
    request: Request<Held>,
    head: Request<()>,
}

impl Ticket {
    /// Takes a stream.
    #[must_use]
    pub fn new(line: &Rc<Line>) -> Self {
        Self {
            line: Rc::clone(line),
            streaming: line.begin(),
            hand: None,
            reads: 0,
            sent: None,
            over: false,
        }
    }

    /// Writes a request that may have been meant for HTTP/1.1 as one of HTTP/2 (RFC 9113, 8.2.2 and 8.3.1).
    ///
    /// # Errors
    /// Its parts make no target; a fault of this gateway, because each was checked before.
    pub fn write(
        &mut self,
        request: Request<RequestBody>,
        pool: &Pool,
    ) -> Result<Written, http::Error> {
        let (mut parts, body) = request.into_parts();
        let mut head = Request::new(());
        *head.method_mut() = parts.method.clone();
        *head.uri_mut() = parts.uri.clone();
        *head.headers_mut() = parts.headers.clone();
        let mut target = Parts::default();
        target.scheme = Some(pool.scheme.clone());
        let host = parts.headers.remove(HOST);
        let asked = host.filter(|host| *host != pool.host);
        target.authority = match asked {
            Some(host) if !host.is_empty() => authority(&host),
            _ => pool.authority.clone(),
        };
        target.path_and_query = parts.uri.path_and_query().cloned();
        parts.uri = Uri::from_parts(target)?;
        parts.version = Version::HTTP_2;
        for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
            parts.headers.remove(name);
        }
        let (held, hand) = Held::new(body, &self.streaming, &self.line.tasks);
        self.hand = hand;
        Ok(Written {
            request: Request::from_parts(parts, held),
            head,
        })
    }

    /// Sends a request; gives it back if the target processed nothing of it.
    ///
    /// # Errors
    /// What hyper said.
    pub async fn send(&mut self, written: Written) -> Result<Response<Incoming>, Failed> {
        self.reads = self.line.reads();
        self.line.asks();
        self.sent = Some(Instant::now());
        let sending = self
            .line
            .requests()
            .borrow_mut()
            .try_send_request(written.request);
        let mut failed = match sending.await {
            Ok(response) => {
                if let Some(hand) = &self.hand {
                    hand.keeps_nothing();
                }
                return Ok(response);
            }
            Err(failed) => failed,
        };
        // hyper gives up what waits in it to become a stream without giving it back, but says that it did.
        let unsent = failed.take_message().is_some();
        let error = failed.into_error();
        let unsent = unsent || error.is_canceled();
        let is_full = is_refused(&error);
        if is_full {
            self.line.is_full();
        }
        let is_leaving = is_above_the_last(&error);
        if is_leaving {
            // Its own task notices only when it is asked next.
            self.line.retire();
        }
        let refused = is_full || is_leaving || error.is_canceled();
        let mut body = None;
        if unsent || refused {
            body = match &self.hand {
                None => Some(RequestBody::Empty),
                Some(hand) => hand.take_back(),
            };
        }
        Err(Failed {
            unsent: body.map(|body| written.head.map(|()| body)),
            refused,
            error,
        })
    }

    /// No answer came in time. A connection that brought nothing at all meanwhile is probably dead: it takes no more
    /// requests.
    pub fn is_late(&self) {
        if self.line.reads() == self.reads {
            self.line.retire();
        }
    }

    /// The answer is over. A request body that still runs goes on for as long as the target takes it.
    pub fn finish(mut self) {
        self.over = true;
        self.line.completes();
        if let Some(hand) = self.hand.take() {
            hand.outlives();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Some(hand) = &self.hand {
            hand.end();
        }
        if let Some(sent) = self.sent {
            self.line.is_given_up(sent);
        }
    }
}

/// Whether an answer failed because the target, or what it sent, broke the protocol.
#[must_use]
pub fn is_malformed(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|cause| cause.is_library() && !cause.is_io())
}

/// Whether the target says that it processed nothing of the stream (RFC 9113, 8.7).
fn is_refused(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|cause| {
        cause.is_remote() && cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM)
    })
}

/// Whether the target is going away and the stream is one that it will not process (RFC 9113, 6.8). Streams that it does
/// process never end with this error.
fn is_above_the_last(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|cause| cause.is_remote() && cause.is_go_away())
}

fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}
