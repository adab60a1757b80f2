//! A connection in use, or a stream of one, and the answer that came on it.

use std::rc::Rc;

use http::{Response, StatusCode, Version};
use hyper::body::Incoming;

use super::balance::Seated;
use super::http2::ticket::Ticket;
use super::pool::{Carrier, Pool};
use crate::metrics::traffic::Open;

/// An answer, and the connection it came on.
#[derive(Debug)]
pub struct Sent {
    /// The head, and the body as it comes.
    pub response: Response<Incoming>,
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

    /// Gives the connection back.
    pub fn give_back(self) {
        match self.carrier {
            Carrier::Http1(sender) if self.again => self.pool.put(sender),
            Carrier::Http1(_) => {}
            Carrier::Http2(ticket) => ticket.finish(),
        }
    }
}

/// What is kept of a connection that has changed over, or of a stream that has.
#[derive(Debug)]
pub enum Kept {
    /// That it is open.
    Connection(Option<Open>, Option<Seated>),
    /// The right to it.
    Stream(Ticket, Option<Seated>),
}
