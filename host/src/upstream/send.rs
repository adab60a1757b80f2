//! One request to one upstream.
//!
//! What is repeated, and why that is safe: a connect that failed goes on to the next target, because nothing was sent;
//! a kept connection that turns out dead is replaced once, but only if hyper gives the request back unsent. Anything
//! later may have reached the upstream, and is sent again only where that was asked for and makes no difference: see
//! [`retry`](super::retry).

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::attempt::Attempting;
use super::balance::Wish;
use super::body::{BodyWatch, RequestBody};
use super::first::First;
use super::flaw::check;
use super::group::Group;
use super::http1::Listening;
use super::http2::ticket::is_malformed;
use super::interim::Interim;
use super::lease::Sent;
use super::pool::Carrier;
use super::retry::{Progress, Trouble};
use super::total::Part;
use super::turn::{Checkout, Turn};
use crate::activity::Activity;
use crate::config::ready::{Retries, ServiceTimeouts};
use crate::metrics::traffic::Attempt;
use crate::respond::failure::UpstreamFault;

/// How often a request goes to the same target again that processed nothing of it. A kept connection that had died is
/// replaced once. A stream may be refused more often: many requests meet on one connection, and the target may take only
/// some of them before it goes away.
pub const REPEATS: usize = 10;

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
    /// What it asks of the choice of its target.
    pub wish: Wish,
    /// How long the upstream may take.
    pub timeouts: ServiceTimeouts,
    /// When it is sent again; none: only where nothing of it was sent.
    pub retries: Option<&'a Retries>,
    /// Whether the client's `Host` is kept, or the name or address of the target takes its place.
    pub preserve_host: bool,
    /// The client's connection, whose timer also holds the limit on the answer.
    pub activity: &'a Activity,
    /// The request body, if there is one.
    pub body: Option<&'a BodyWatch>,
    /// The protocol that the connection is asked to change over to.
    pub upgrade: Option<&'a HeaderValue>,
    /// Who is told of interim answers; none: nobody is to hear of them.
    pub interim: Option<&'a dyn Fn(Interim)>,
}

/// Sends a request to a target of the group and waits for the head of its answer.
///
/// # Errors
/// Whatever the upstream did wrong.
pub async fn send(
    order: &Order<'_>,
    mut request: Request<RequestBody>,
) -> Result<Sent, UpstreamFault> {
    let mut turn = Turn::new(order, &mut request);
    let mut checkout = turn.next().await?;
    loop {
        let at = checkout.at;
        (request, checkout) = match asked(order, &mut checkout, request, turn.repeats).await? {
            Came::Answer(response, first) => {
                let request_is_sent = turn.was_told();
                let again = turn.again(at, Trouble::Status(response.status()));
                let lease = checkout.lease(&response);
                let Some(again) = again else {
                    return Ok(Sent {
                        response,
                        first,
                        lease,
                    });
                };
                lease.discard(response.into_body(), request_is_sent);
                (again, turn.next().await?)
            }
            Came::Nothing(trouble, fault) => {
                drop(checkout);
                let Some(again) = turn.again(at, trouble) else {
                    return Err(fault);
                };
                tracing::warn!(target: "upstream", "{fault}");
                (again, turn.next().await?)
            }
            Came::Stale(unsent) => {
                let pool = checkout.pool;
                drop((checkout.carrier, checkout.seated));
                (unsent, turn.afresh(pool, at).await?)
            }
            // A fresh connection that closed before it took the request is like one that was refused.
            Came::Back(unsent, fault) => {
                drop(checkout);
                if !turn.goes_on(at, Trouble::Connect, Progress::Nothing) {
                    return Err(fault);
                }
                (unsent, turn.next().await?)
            }
        };
    }
}

/// What sending a request on a connection came to.
enum Came {
    /// An answer that may be passed on, and what was taken of its body.
    Answer(Response<Incoming>, First),
    /// Nothing that may be, and nobody knows what became of the request.
    Nothing(Trouble, UpstreamFault),
    /// The request, unsent: the connection had died, or the target can take it on another one.
    Stale(Request<RequestBody>),
    /// The request, unsent.
    Back(Request<RequestBody>, UpstreamFault),
}

/// Sends a request on a connection, waits for the head of its answer, and counts what that came to.
///
/// # Errors
/// What ends the exchange, whatever else could be tried.
async fn asked(
    order: &Order<'_>,
    checkout: &mut Checkout,
    mut request: Request<RequestBody>,
    repeats: usize,
) -> Result<Came, UpstreamFault> {
    if !order.preserve_host {
        let host = checkout.pool.host.clone();
        request.headers_mut().insert(HOST, host);
    }
    let (group, at) = (order.group, checkout.at);
    let attempt = group.attempt(at);
    let failed = match attempted(order, checkout, request).await? {
        Answered::Failed(failed) => failed,
        Answered::With(mut response) => {
            let checked = match check(&response, &checkout.pool, order.upgrade) {
                Ok(()) => First::of(&mut response)
                    .await
                    .map_err(|error| malformed(checkout, &error)),
                Err(fault) => Err(fault),
            };
            let first = match checked {
                Ok(first) => first,
                Err(fault) => {
                    group.came_to(at, attempt, Attempt::Malformed);
                    return Ok(Came::Nothing(Trouble::Reset, fault));
                }
            };
            group.answered(at, attempt, response.status());
            return Ok(Came::Answer(response, first));
        }
        Answered::Late => {
            group.came_to(at, attempt, Attempt::Timeout);
            let fault = UpstreamFault::TimedOut {
                target: checkout.pool.to.target.clone(),
                what: "answer",
                limit: order.timeouts.response,
            };
            return Ok(Came::Nothing(Trouble::Timeout, fault));
        }
        Answered::Overdue { its_own } => {
            let outcome = match its_own {
                true => Attempt::Timeout,
                false => Attempt::Cancelled,
            };
            group.came_to(at, attempt, outcome);
            return Err(UpstreamFault::Overdue { its_own });
        }
    };
    let here = (checkout.reused || failed.refused) && repeats < REPEATS;
    Ok(match failed.unsent {
        Some(unsent) if here => {
            group.came_to(at, attempt, Attempt::Stale);
            Came::Stale(unsent)
        }
        Some(unsent) => Came::Back(unsent, died(order, attempt, checkout, failed.error)),
        None => Came::Nothing(Trouble::Reset, died(order, attempt, checkout, failed.error)),
    })
}

/// Sends a request on a connection and waits for the head of its answer.
async fn attempted(
    order: &Order<'_>,
    checkout: &mut Checkout,
    request: Request<RequestBody>,
) -> Result<Answered, UpstreamFault> {
    let pool = &checkout.pool;
    match &mut checkout.carrier {
        Carrier::Http1(sender) => {
            let ear = order.interim.map(|_| sender.listen());
            Ok(order.answered(sender.send(request), ear).await)
        }
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
            let answered = order.answered(ticket.send(written), None).await;
            if matches!(
                answered,
                Answered::Late | Answered::Overdue { its_own: true }
            ) {
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
    /// All of the exchange is. Who is slow to send a request, or comes late to it, says nothing of the target.
    Overdue {
        its_own: bool,
    },
}

impl Order<'_> {
    /// Whether the client's body broke, or a plugin ended it.
    pub(super) fn is_body_broken(&self) -> bool {
        self.body.is_some_and(|body| body.fault.get().is_some())
    }

    /// Waits for the head of an answer. The time runs from the sent request, so a body that is still being sent moves
    /// the limit with every piece, and with every plugin that waits inside it.
    async fn answered<E: Into<Failed>>(
        &self,
        sending: impl Future<Output = Result<Response<Incoming>, E>>,
        ear: Option<Listening>,
    ) -> Answered {
        let limit = self.timeouts.response;
        let part = Part::begin(self.timeouts.total);
        self.activity
            .expect_answer(Instant::now().checked_add(limit));
        let mut sending = pin!(sending);
        let answered = poll_fn(|cx| {
            let polled = sending.as_mut().poll(cx);
            if let Some(ear) = &ear {
                self.tell(ear, cx);
            }
            if let Poll::Ready(result) = polled {
                return Poll::Ready(match result {
                    Ok(response) => Answered::With(response),
                    Err(failed) => Answered::Failed(failed.into()),
                });
            }
            if self.activity.is_total_over() {
                let is_sent = self.body.is_none_or(BodyWatch::is_complete);
                return Poll::Ready(Answered::Overdue {
                    its_own: is_sent && part.had_most(),
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

    /// Tells of what was heard before an answer.
    fn tell(&self, ear: &Listening, cx: &Context<'_>) {
        let told = std::iter::from_fn(|| ear.next(cx));
        if let Some(interim) = self.interim {
            told.for_each(interim);
        }
    }
}

/// What an answer that never came whole means, and counts it. A body that broke took the connection with it: that is the
/// client's doing.
fn died(
    order: &Order<'_>,
    attempt: Attempting<'_>,
    checkout: &Checkout,
    error: hyper::Error,
) -> UpstreamFault {
    let is_malformed = error.is_parse() || is_malformed(&error);
    let outcome = match (order.is_body_broken(), is_malformed) {
        (true, _) => Attempt::Cancelled,
        (false, true) => Attempt::Malformed,
        (false, false) => Attempt::Closed,
    };
    order.group.came_to(checkout.at, attempt, outcome);
    if is_malformed {
        malformed(checkout, &error)
    } else {
        UpstreamFault::Died {
            target: checkout.pool.to.target.clone(),
            source: error,
        }
    }
}

fn malformed(checkout: &Checkout, error: &hyper::Error) -> UpstreamFault {
    let cause = std::error::Error::source(error);
    UpstreamFault::Malformed {
        target: checkout.pool.to.target.clone(),
        text: cause.map_or_else(|| error.to_string(), ToString::to_string),
    }
}
