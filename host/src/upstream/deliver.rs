//! One request whose answer nobody waits for.
//!
//! There is no client here and no exchange: what holds a delivery to its limits is a timer of its own, and whoever drops it
//! gives it up. It goes to one target and is never sent again; only a kept connection that turns out dead is replaced
//! once, if hyper gives the request back unsent.

use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::balance::{Tried, Wish};
use super::body::RequestBody;
use super::flaw::framing_flaw;
use super::group::Group;
use super::http2::ticket::is_malformed;
use super::lease::Lease;
use super::pool::{Carrier, Limits, Pool};
use super::send::Failed;
use crate::config::ready::ServiceTimeouts;
use crate::metrics::traffic::Attempt;

/// How much of an answer is read away so that its connection can be used again; one with more is closed.
const ANSWER: usize = 256 * 1024;

/// Where a request goes whose answer nobody waits for, and how.
#[derive(Debug)]
pub struct Delivery {
    /// Where it may go.
    pub group: Rc<Group>,
    /// How long that may take.
    pub timeouts: ServiceTimeouts,
    /// Whether its `Host` is kept, or the address of the target takes its place.
    pub preserve_host: bool,
}

/// An answer that nobody waits for. Dropped, it closes its connection.
#[derive(Debug)]
pub struct Unwanted {
    response: Response<Incoming>,
    lease: Lease,
}

impl Delivery {
    /// Sends a request to a target and waits for the head of its answer; none if there was none.
    pub async fn send(&self, mut request: Request<RequestBody>) -> Option<Unwanted> {
        let group = &self.group;
        let at = group.pick(Wish::default(), &Tried::default())?;
        let pool = Rc::clone(group.pools().get(at)?);
        if !self.preserve_host {
            let host = pool.host.clone();
            request.headers_mut().insert(header::HOST, host);
        }
        let (attempt, seated) = (group.attempt(at), group.seat(at));
        match self.answer(&pool, request).await {
            Ok((response, carrier)) => {
                group.answered(at, attempt, response.status());
                let lease = Lease::new(pool, (carrier, seated), &response);
                Some(Unwanted { response, lease })
            }
            Err(outcome) => {
                group.came_to(at, attempt, outcome);
                None
            }
        }
    }

    async fn answer(
        &self,
        pool: &Rc<Pool>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Carrier), Attempt> {
        if let Some(kept) = pool.take() {
            match self.carried(kept, pool, request).await {
                Ok(answer) => return Ok(answer),
                Err((Some(unsent), _)) => request = unsent,
                Err((None, outcome)) => return Err(outcome),
            }
        }
        let limits = Limits {
            connect: self.timeouts.connect,
            room: self.timeouts.response,
        };
        let opened = pool.open(limits).await;
        let (carrier, _) = opened.map_err(|failed| failed.outcome())?;
        let carried = self.carried(carrier, pool, request).await;
        carried.map_err(|(_, outcome)| outcome)
    }

    /// The answer on this connection, or the request if nothing of it was sent, and what the attempt came to.
    async fn carried(
        &self,
        mut carrier: Carrier,
        pool: &Pool,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Carrier), (Option<Request<RequestBody>>, Attempt)> {
        let limit = self.timeouts.response;
        let Ok(answered) = timeout(limit, sent(&mut carrier, pool, request)).await else {
            if let Carrier::Http2(ticket) = &carrier {
                ticket.is_late();
            }
            return Err((None, Attempt::Timeout));
        };
        match answered {
            Ok(response) if framing_flaw(&response).is_none() => Ok((response, carrier)),
            Ok(_) | Err(None) => Err((None, Attempt::Malformed)),
            Err(Some(failed)) => {
                let malformed = failed.error.is_parse() || is_malformed(&failed.error);
                let outcome = if malformed {
                    Attempt::Malformed
                } else {
                    Attempt::Closed
                };
                Err((failed.unsent, outcome))
            }
        }
    }
}

impl Unwanted {
    /// Reads the answer away, so that its connection can be used again; one that is too large, or not over after `limit`,
    /// is closed. The limit is for all of it: who sends a byte a minute must not be listened to for ever.
    pub async fn read_away(self, limit: Duration) {
        let Self {
            mut response,
            lease,
        } = self;
        let body = response.body_mut();
        let mut left = ANSWER;
        let away = async {
            while let Some(frame) = body.frame().await {
                let len = match &frame {
                    Ok(frame) => frame.data_ref().map_or(0, bytes::Bytes::len),
                    Err(_) => return false,
                };
                match left.checked_sub(len) {
                    Some(still) => left = still,
                    None => return false,
                }
            }
            true
        };
        if let Ok(true) = timeout(limit, away).await {
            lease.give_back();
        }
    }
}

/// Sends a request on a connection and waits for the head of its answer; none of what went wrong where the request could
/// not be written.
async fn sent(
    carrier: &mut Carrier,
    pool: &Pool,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, Option<Failed>> {
    match carrier {
        Carrier::Http1(sender) => sender
            .send(request)
            .await
            .map_err(|failed| Some(failed.into())),
        Carrier::Http2(ticket) => {
            let written = ticket.write(request, pool).map_err(|_| None)?;
            ticket.send(written).await.map_err(Some)
        }
    }
}
