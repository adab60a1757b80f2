//! Turning requests away when there is more to do than the process takes: before an exchange is made, so before routing and
//! before any plugin, for what is turned away must cost next to nothing.

use std::rc::Rc;
use std::time::Instant;

use http::header::{ACCEPT, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;

use super::answer::AnswerBody;
use super::outgoing;
use crate::activity::Activity;
use crate::admission::refusal::{Reason, Refusal};
use crate::local::{Generation, Local};
use crate::respond::failure::Failure;
use crate::respond::{grpc, problem, rescue};

/// An exchange that counts in the process, until this is dropped.
pub(super) struct Counted(Rc<Generation>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(snapshot) = self.0.snapshot() {
            snapshot.admission.overload.end();
        }
    }
}

/// Lets an exchange begin; none: nobody counts.
///
/// # Errors
/// There is more to do than the process takes.
pub(super) fn admit(
    generation: &Rc<Generation>,
    activity: &Activity,
) -> Result<Option<Counted>, Refusal> {
    let Some(snapshot) = generation.snapshot() else {
        return Ok(None);
    };
    let (overload, settings) = (&snapshot.admission.overload, &snapshot.settings.overload);
    let shed = |reason| {
        overload.sheds(reason);
        let retry_after = settings.retry_after;
        Err(Refusal::Shed {
            reason,
            retry_after,
        })
    };
    if activity.is_surplus() {
        return shed(Reason::Connections);
    }
    if overload.is_short() {
        return shed(Reason::Memory);
    }
    match settings.requests {
        None => Ok(None),
        Some(limit) if overload.begin(limit) => Ok(Some(Counted(Rc::clone(generation)))),
        Some(_) => shed(Reason::Requests),
    }
}

/// Tells a client to come again.
pub(super) fn turn_away(
    worker: &Local,
    activity: &Rc<Activity>,
    request: Request<Incoming>,
    refusal: Refusal,
) -> Response<AnswerBody> {
    let (_, id) = worker.next_exchange();
    let (head, body) = request.into_parts();
    let seconds = refusal.retry_after();
    let ends = refusal.ends_connection();
    let told = rescue::rescue(&Failure::Refused(refusal));
    let grpc = head.version == Version::HTTP_2 && grpc::is_call(&head.headers);
    let accept = head.headers.get(ACCEPT);
    let as_text = grpc || accept.is_some_and(problem::prefers_text);
    let mut answer = problem::answer(&told, as_text, &id);
    let headers = &mut answer.head.headers;
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    if grpc {
        answer = grpc::told(answer);
    }
    activity.exchange_begins();
    let unread = outgoing::dismiss(activity, body);
    if (unread || ends) && !activity.is_stream() {
        let close = HeaderValue::from_static("close");
        answer.head.headers.insert(CONNECTION, close);
    }
    if ends {
        activity.drain_connection();
    }
    activity.exchange_ends(Instant::now());
    let body = AnswerBody::unheard(answer.body);
    outgoing::respond(answer.head.status, answer.head.headers, body)
}
