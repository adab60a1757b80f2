//! One request to one upstream.
//!
//! What is repeated, and why that is safe: a connect that failed goes on to the next target, because nothing was sent;
//! a kept connection that turns out dead is replaced once, but only if hyper gives the request back unsent. Anything
//! later may have reached the upstream and is never sent twice.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::balance::RoundRobin;
use super::body::{BodyWatch, RequestBody};
use super::dial;
use super::http2::ticket::{Ticket, is_malformed};
use super::pool::{Carrier, Limits, Pool};
use crate::activity::Activity;
use crate::config::ready::ServiceTimeouts;
use crate::context::headers::Survey;
use crate::endpoint::{Endpoint, NOWHERE};
use crate::metrics::traffic::{Attempt, Attempting, Attempts, Open};
use crate::respond::failure::UpstreamFault;
use crate::snapshot::TargetAccount;

/// How often a request goes to the same target again that processed nothing of it. A kept connection that had died is
/// replaced once. A stream may be refused more often: many requests meet on one connection, and the target may take only
/// some of them before it goes away.
pub const REPEATS: usize = 10;

/// A group of targets, on one worker.
#[derive(Debug)]
pub struct Group {
    /// In the order of the configuration; never empty.
    pub pools: Vec<Rc<Pool>>,
    /// Count what happens at each.
    pub accounts: Vec<TargetAccount>,
    /// Chooses among them.
    pub balance: RoundRobin,
}

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
}

impl Lease {
    /// The connection, or the stream, has changed over to another protocol; what is given back counts it until it is
    /// dropped.
    #[must_use]
    pub fn changed_over(self) -> Kept {
        match self.carrier {
            Carrier::Http1(sender) => Kept::Connection(sender.changed_over()),
            Carrier::Http2(ticket) => Kept::Stream(ticket),
        }
    }

    /// A connection on which this answer came.
    #[must_use]
    pub fn new(pool: Rc<Pool>, carrier: Carrier, response: &Response<Incoming>) -> Self {
        Self {
            pool,
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
    Connection(Option<Open>),
    /// The right to it.
    Stream(Ticket),
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Failed {
    /// The request, if the target processed nothing of it.
    pub unsent: Option<Request<RequestBody>>,
    /// Whether it is the target that says so: then it is there, and may be asked again.
    pub refused: bool,
    /// What hyper said.
    pub error: hyper::Error,
}

impl From<TrySendError<Request<RequestBody>>> for Failed {
    fn from(mut failed: TrySendError<Request<RequestBody>>) -> Self {
        Self {
            unsent: failed.take_message(),
            refused: false,
            error: failed.into_error(),
        }
    }
}

/// What a request is sent with.
pub struct Order<'a> {
    /// Where it may go.
    pub group: &'a Group,
    /// The one target it must go to, if a plugin chose one.
    pub only: Option<usize>,
    /// How long the upstream may take.
    pub timeouts: ServiceTimeouts,
    /// Whether the client's `Host` is kept, or the address of the target takes its place.
    pub preserve_host: bool,
    /// The client's connection, whose timer also holds the limit on the answer.
    pub activity: &'a Activity,
    /// The request body, if there is one.
    pub body: Option<&'a BodyWatch>,
    /// The protocol that the connection is asked to change over to.
    pub upgrade: Option<&'a HeaderValue>,
}

/// Sends a request to a target of the group and waits for the head of its answer.
///
/// # Errors
/// Whatever the upstream did wrong.
pub async fn send(
    order: &Order<'_>,
    mut request: Request<RequestBody>,
) -> Result<Sent, UpstreamFault> {
    let mut turn = Turn {
        order,
        at: order.only.unwrap_or_else(|| order.group.balance.next()),
        tried: 0,
        repeats: 0,
    };
    let Checkout {
        mut pool,
        mut carrier,
        mut reused,
        mut at,
    } = turn.next().await?;
    loop {
        if !order.preserve_host {
            request
                .headers_mut()
                .insert(header::HOST, pool.host.clone());
        }
        let attempt = Attempting::new(order.group.attempts(at));
        let failed = match attempted(order, &mut carrier, &pool, request).await? {
            Answered::Late => {
                attempt.came_to(Attempt::Timeout);
                let limit = order.timeouts.response;
                return Err(UpstreamFault::TimedOut {
                    target: pool.to.target.clone(),
                    what: "answer",
                    limit,
                });
            }
            Answered::With(response) => {
                if let Err(fault) = check(&response, &pool, order.upgrade) {
                    attempt.came_to(Attempt::Malformed);
                    return Err(fault);
                }
                attempt.came_to(Attempt::Ok);
                let lease = Lease::new(pool, carrier, &response);
                return Ok(Sent { response, lease });
            }
            Answered::Failed(failed) => failed,
        };
        let here = (reused || failed.refused) && turn.repeats < REPEATS;
        request = match failed.unsent {
            Some(unsent) if here || turn.has_more() => {
                attempt.came_to(if here {
                    Attempt::Stale
                } else {
                    Attempt::Closed
                });
                unsent
            }
            _ => return Err(died(order, attempt, &pool.to.target, failed.error)),
        };
        drop(carrier);
        // A fresh connection that closed before it took the request is like one that was refused.
        let other = if here {
            turn.again(pool, at).await?
        } else {
            turn.next().await?
        };
        Checkout {
            pool,
            carrier,
            reused,
            at,
        } = other;
    }
}

/// Sends a request on a connection and waits for the head of its answer.
async fn attempted(
    order: &Order<'_>,
    carrier: &mut Carrier,
    pool: &Pool,
    request: Request<RequestBody>,
) -> Result<Answered, UpstreamFault> {
    match carrier {
        Carrier::Http1(sender) => Ok(order.answered(sender.send(request)).await),
        // A stream of it would carry the request as an ordinary one.
        Carrier::Http2(_) if order.upgrade.is_some() => Err(UpstreamFault::NoUpgrade {
            target: pool.to.target.clone(),
        }),
        Carrier::Http2(ticket) => {
            let written =
                ticket
                    .write(request, pool)
                    .map_err(|error| UpstreamFault::Unwritable {
                        target: pool.to.target.clone(),
                        text: error.to_string(),
                    })?;
            let answered = order.answered(ticket.send(written)).await;
            if matches!(answered, Answered::Late) {
                ticket.is_late();
            }
            Ok(answered)
        }
    }
}

/// What waiting for an answer came to.
enum Answered {
    With(Response<Incoming>),
    Failed(Failed),
    Late,
}

impl Order<'_> {
    /// Waits for the head of an answer. The time runs from the sent request, so a body that is still being sent moves
    /// the limit with every piece, and with every plugin that waits inside it.
    async fn answered<E: Into<Failed>>(
        &self,
        sending: impl Future<Output = Result<Response<Incoming>, E>>,
    ) -> Answered {
        let limit = self.timeouts.response;
        self.activity
            .expect_answer(Instant::now().checked_add(limit));
        let mut sending = pin!(sending);
        let answered = poll_fn(|cx| {
            if let Poll::Ready(result) = sending.as_mut().poll(cx) {
                return Poll::Ready(match result {
                    Ok(response) => Answered::With(response),
                    Err(failed) => Answered::Failed(failed.into()),
                });
            }
            if !self.activity.is_answer_late() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let last = |body: &BodyWatch| {
                if body.held.get() {
                    now
                } else {
                    body.progress.get()
                }
            };
            let moved = self.body.and_then(|body| last(body).checked_add(limit));
            match moved.filter(|due| *due > now) {
                Some(due) => {
                    self.activity.expect_answer(Some(due));
                    Poll::Pending
                }
                None => Poll::Ready(Answered::Late),
            }
        })
        .await;
        self.activity.expect_answer(None);
        answered
    }
}

/// A connection to try.
struct Checkout {
    pool: Rc<Pool>,
    carrier: Carrier,
    /// Whether it was used before, and may have died since.
    reused: bool,
    /// Which target of the group it leads to.
    at: usize,
}

/// The way of one request through the targets: each is tried at most once.
struct Turn<'a> {
    order: &'a Order<'a>,
    at: usize,
    tried: usize,
    /// How often the target that is tried was tried again.
    repeats: usize,
}

impl Turn<'_> {
    fn has_more(&self) -> bool {
        let targets = match self.order.only {
            Some(_) => 1,
            None => self.order.group.pools.len(),
        };
        self.tried < targets
    }

    /// A kept connection, or a fresh one to the first target that takes it.
    async fn next(&mut self) -> Result<Checkout, UpstreamFault> {
        let pools = &self.order.group.pools;
        loop {
            let at = self.at % pools.len().max(1);
            let Some(pool) = pools.get(at).map(Rc::clone) else {
                // Validation admits no empty group; this keeps the serving path free of a panic all the same.
                return Err(UpstreamFault::Unwritable {
                    target: NOWHERE,
                    text: "no targets".into(),
                });
            };
            self.at += 1;
            self.tried += 1;
            self.repeats = 0;
            if let Some(carrier) = pool.take() {
                return Ok(Checkout {
                    pool,
                    carrier,
                    reused: true,
                    at,
                });
            }
            if let Some(checkout) = self.fresh(pool, at).await? {
                return Ok(checkout);
            }
        }
    }

    /// A fresh connection in the place of a kept one that had died.
    async fn again(&mut self, pool: Rc<Pool>, at: usize) -> Result<Checkout, UpstreamFault> {
        self.repeats += 1;
        match self.fresh(pool, at).await? {
            Some(checkout) => Ok(checkout),
            None => self.next().await,
        }
    }

    /// A fresh connection; none if the target takes none and there are others.
    async fn fresh(&self, pool: Rc<Pool>, at: usize) -> Result<Option<Checkout>, UpstreamFault> {
        let attempt = Attempting::new(self.order.group.attempts(at));
        let timeouts = self.order.timeouts;
        let limits = Limits {
            connect: timeouts.connect,
            room: timeouts.response,
        };
        let connected = pool.open(limits).await;
        match &connected {
            // The attempt goes on, and is counted when it comes to something.
            Ok(_) => attempt.goes_on(),
            Err(dial::Failed::Connect(_)) => attempt.came_to(Attempt::ConnectError),
            Err(dial::Failed::Tls(_)) => attempt.came_to(Attempt::TlsError),
            Err(dial::Failed::Late(_)) => attempt.came_to(Attempt::ConnectTimeout),
            Err(dial::Failed::Full(_)) => attempt.came_to(Attempt::Timeout),
        }
        match connected {
            Ok((carrier, reused)) => Ok(Some(Checkout {
                pool,
                carrier,
                reused,
                at,
            })),
            Err(failed) if self.has_more() => {
                tracing::warn!(target: "upstream", "{}", into_fault(failed, &pool, self.tried));
                Ok(None)
            }
            Err(failed) => Err(into_fault(failed, &pool, self.tried)),
        }
    }
}

impl Group {
    /// Where attempts at one of its targets are counted.
    fn attempts(&self, at: usize) -> Option<&Attempts> {
        self.accounts.get(at).map(|account| &*account.attempts)
    }
}

/// What an answer that never came whole means, and counts it. A body that broke took the connection with it: that is the
/// client's doing.
fn died(
    order: &Order<'_>,
    attempt: Attempting<'_>,
    target: &Endpoint,
    error: hyper::Error,
) -> UpstreamFault {
    let broken_body = order.body.is_some_and(|body| body.fault.get().is_some());
    let malformed = error.is_parse() || is_malformed(&error);
    attempt.came_to(match (broken_body, malformed) {
        (true, _) => Attempt::Cancelled,
        (false, true) => Attempt::Malformed,
        (false, false) => Attempt::Closed,
    });
    if malformed {
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        UpstreamFault::Malformed {
            target: target.clone(),
            text: cause,
        }
    } else {
        UpstreamFault::Died {
            target: target.clone(),
            source: error,
        }
    }
}

/// What it means that a connection, or a stream of one, was not to be had.
fn into_fault(failed: dial::Failed, pool: &Pool, tried: usize) -> UpstreamFault {
    let target = pool.to.target.clone();
    let late = |what, limit| UpstreamFault::TimedOut {
        target: pool.to.target.clone(),
        what,
        limit,
    };
    match failed {
        dial::Failed::Connect(source) | dial::Failed::Tls(source) => UpstreamFault::Connect {
            target,
            tried,
            source,
        },
        dial::Failed::Late(limit) => late("connect", limit),
        dial::Failed::Full(limit) => late("have room for the request", limit),
    }
}

/// Refuses answers that could be read in more than one way.
fn check(
    response: &Response<Incoming>,
    pool: &Pool,
    asked: Option<&HeaderValue>,
) -> Result<(), UpstreamFault> {
    let flaw = match asked {
        Some(token) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade_flaw(response, token)
        }
        _ => framing_flaw(response),
    };
    match flaw {
        None => Ok(()),
        Some(text) => Err(UpstreamFault::Malformed {
            target: pool.to.target.clone(),
            text: text.to_owned(),
        }),
    }
}

/// Why an answer that switches protocols is none to what was asked (RFC 9110, 7.8 and 15.2.2).
fn upgrade_flaw(response: &Response<Incoming>, asked: &HeaderValue) -> Option<&'static str> {
    if response.version() != Version::HTTP_11 {
        return Some("it switched protocols in another version than HTTP/1.1");
    }
    let headers = response.headers();
    let options = headers.get_all(header::CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade")) {
        return Some("it switched protocols without Connection: upgrade");
    }
    let mut tokens = headers.get_all(header::UPGRADE).iter();
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if token.as_bytes().eq_ignore_ascii_case(asked.as_bytes()) => None,
        _ => Some("it switched to another protocol than the one it was asked for"),
    }
}

/// Why an answer could be read in more than one way (RFC 9112, 6.1 and 6.3), which hyper lets through.
#[must_use]
pub fn framing_flaw(response: &Response<Incoming>) -> Option<&'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some("it switched protocols without having been asked");
    }
    let headers = response.headers();
    let survey = Survey::of(headers);
    if survey.transfer_encoding {
        if survey.content_length {
            // RFC 9112, 6.3: a sign of response splitting, which ought to be handled as an error.
            return Some("it has both Transfer-Encoding and Content-Length");
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {}
            _ => return Some("its Transfer-Encoding is not chunked alone"),
        }
    }
    if !survey.content_length {
        return None;
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(first) = lengths.next() {
        let digits = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
        if !digits || lengths.any(|other| other != first) {
            return Some("its Content-Length is not one number");
        }
    }
    None
}
