//! A connection in use, or a stream of one, and the answer that came on it.

use std::rc::Rc;
use std::time::Duration;

use http::{Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::balance::Seated;
use super::first::First;
use super::http2::ticket::Ticket;
use super::pool::{Carrier, Pool};
use crate::metrics::traffic::Open;
use crate::panics::{self, Part};

/// How much of an answer that nobody wants is read away: error pages are smaller than a new connection is dear.
const LITTLE: u64 = 16 * 1024;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer, and the connection it came on.
#[derive(Debug)]
pub struct Sent {
    /// The head, and the body as it comes.
    pub response: Response<Incoming>,
    /// What was taken of the body already.
    pub first: First,
    /// Goes back to its pool when the body is over.
    pub lease: Lease,
}

impl Sent {
    /// Whether the connection changes over to the protocol that was asked for.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.response.status() == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// A connection in use, or a stream of one.
#[derive(Debug)]
pub struct Lease {
    /// Where it came from.
    pub pool: Rc<Pool>,
    carrier: Carrier,
    /// Whether it may be used again.
    again: bool,
    /// The target counts the request until this is dropped.
    seated: Option<Seated>,
}

impl Lease {
    /// The connection, or the stream, has changed over to another protocol; what is given back counts it until it is
    /// dropped.
    #[must_use]
    pub fn changed_over(self) -> Kept {
        match self.carrier {
            Carrier::Http1(sender) => Kept::Connection(sender.changed_over(), self.seated),
            Carrier::Http2(ticket) => Kept::Stream(ticket, self.seated),
        }
    }

    /// A connection on which this answer came.
    #[must_use]
    pub fn new(
        pool: Rc<Pool>,
        (carrier, seated): (Carrier, Option<Seated>),
        response: &Response<Incoming>,
    ) -> Self {
        Self {
            pool,
            seated,
            carrier,
            // hyper speaks HTTP/1.0 to whoever answered in it, and then drops a chunked request body.
            again: response.version() == Version::HTTP_11,
        }
    }

    /// Nobody wants the answer. What little of it there is is read away, so that the connection can be used again; more
    /// than that ends it, as a request does that is not all sent yet.
    pub fn discard(self, answer: Incoming, request_is_sent: bool) {
        let is_little = answer.size_hint().upper().is_some_and(|len| len <= LITTLE);
        if !request_is_sent || !is_little {
            return;
        }
        if answer.is_end_stream() {
            return self.give_back();
        }
        spawn_local(panics::contained(Part::Upstream, async move {
            if is_read_away(answer).await {
                self.give_back();
            }
        }));
    }

    /// Gives the connection back.
    pub fn give_back(self) {
        match self.carrier {
            Carrier::Http1(sender) if self.again => self.pool.put(sender),
            Carrier::Http1(_) => {}
            Carrier::Http2(ticket) => ticket.finish(),
        }
    }
}

/// Reads little of an answer away; whether that was all of it.
async fn is_read_away(mut answer: Incoming) -> bool {
    let away = async {
        while let Some(piece) = answer.frame().await {
            if piece.is_err() {
                return false;
            }
        }
        true
    };
    timeout(PATIENCE, away).await.unwrap_or(false)
}

/// What is kept of a connection that has changed over, or of a stream that has.
#[derive(Debug)]
pub enum Kept {
    /// That it is open.
    Connection(Option<Open>, Option<Seated>),
    /// The right to it.
    Stream(Ticket, Option<Seated>),
}
