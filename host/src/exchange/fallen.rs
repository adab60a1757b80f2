//! An exchange whose sequence panicked gets an answer all the same, and ends as any other: its places come back, `log` and
//! `request_end` run. No hook sees the head of this answer, because nobody knows how far the sequence had come.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use http::Response;
use http::header::CONNECTION;

use super::answer::AnswerBody;
use super::serve::Aborted;
use super::{Exchange, outgoing};
use crate::activity::Activity;
use crate::context::Lane;
use crate::local::Local;
use crate::panics::{Panicked, Part, caught};
use crate::respond::failure::Failure;
use crate::respond::problem;
use crate::respond::rescue::rescue;

/// The exchange, once there is one; for whoever finds that its sequence panicked.
pub(super) type Begun = Cell<Option<Rc<Exchange>>>;

/// The answer of an exchange that panicked before its head went out.
///
/// # Errors
/// There is no exchange, or answering panics as well.
pub(super) fn answer(
    worker: &Local,
    activity: &Activity,
    exchange: Option<Rc<Exchange>>,
    panicked: Panicked,
) -> Result<Response<AnswerBody>, Aborted> {
    // What came of the request is not read on.
    activity.body_ends(false);
    let Some(exchange) = exchange else {
        return Ok(unread(worker, activity, panicked));
    };
    let answered = caught(Part::Exchange, || {
        let exchange = exchange.taken_up();
        let generation = Rc::clone(&exchange.generation);
        let snapshot = generation.snapshot().ok_or(Aborted)?;
        exchange.piped.set(false);
        drop(exchange.context.borrow_mut().bodies.take(Lane::Response));
        let answer = outgoing::rescued(&exchange, &Failure::Panicked(panicked));
        Ok(outgoing::whole(exchange, snapshot, answer))
    });
    answered.unwrap_or_else(|again| {
        again.say();
        Err(Aborted)
    })
}

/// The answer to a request whose head was not even read, so that there is no exchange that could end.
fn unread(worker: &Local, activity: &Activity, panicked: Panicked) -> Response<AnswerBody> {
    let (_, id) = worker.next_exchange();
    tracing::error!(target: "panic", part = "exchange", request_id = id.as_str(), "reading a request {panicked}");
    let mut answer = problem::answer(&rescue(&Failure::Panicked(panicked)), false, &id);
    if activity.is_stream() {
        answer.head.headers.remove(CONNECTION);
    }
    activity.exchange_ends(Instant::now());
    let body = AnswerBody::unheard(answer.body);
    outgoing::respond(answer.head.status, answer.head.headers, body)
}
