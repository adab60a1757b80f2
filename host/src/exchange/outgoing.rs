//! The answer on its way out, whoever made it.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, RETRY_AFTER, SEC_WEBSOCKET_VERSION, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};

use super::answer::{AnswerBody, Relay};
use super::filtered::{Filtered, Source};
use super::{Exchange, Running, forwarding, ingress, refused};
use crate::activity::Activity;
use crate::chain::Outcome;
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::context::{Answer, Lane, Phase, ResponseHead, trailers};
use crate::panics;
use crate::respond::failure::{Failure, RequestFault, UpstreamFault};
use crate::respond::{grpc, problem, rescue};
use crate::snapshot::Snapshot;
use crate::stream::{Need, reframe};
use crate::upstream::lease::Sent;
use crate::upstream::total;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Passes an upstream's answer on; `idle` is how long it may be silent inside its body.
pub(super) async fn relay(
    exchange: Running,
    snapshot: &Snapshot,
    sent: Sent,
    idle: Duration,
) -> Response<AnswerBody> {
    let (head, incoming) = sent.response.into_parts();
    let mut headers = head.headers;
    let survey = Survey::of(&headers);
    let mut trailer = None;
    // In HTTP/2 they need no framing of their own.
    let may_have_trailers = survey.transfer_encoding || head.version == Version::HTTP_2;
    if may_have_trailers && exchange.context.borrow().bodies.takes_trailers {
        trailer = trailers::announced(&headers);
    }
    reread(&mut headers, survey);
    let asked_for_head = exchange.context.borrow().method == Method::HEAD;
    if asked_for_head && !exchange.said.head && head.status != StatusCode::NOT_MODIFIED {
        // A plugin made that of the client's request, who would wait for as much (RFC 9110, 8.6).
        headers.remove(CONTENT_LENGTH);
    }
    forwarding::via(&mut headers, exchange.generation.via.as_ref());
    exchange.context.borrow_mut().response = Some(ResponseHead {
        status: head.status,
        headers,
    });
    let filtered_head = {
        let filtering = pin!(header_filter(&exchange, snapshot));
        total::in_time(exchange.activity(), filtering).await
    };
    match filtered_head {
        Some(None) => {}
        Some(Some(answer)) => return whole(exchange, snapshot, answer),
        None => return overdue(exchange, snapshot),
    }
    if let Some(trailer) = trailer
        && let Some(head) = &mut exchange.context.borrow_mut().response
    {
        head.headers.insert(TRAILER, trailer);
    }
    if let Filters::Body(need) = filters(&exchange, snapshot) {
        let relay = Relay::new((incoming, sent.first), sent.lease, idle);
        return filtered(exchange, snapshot, Source::Upstream(relay), need).await;
    }
    let (status, headers) = outgoing(&exchange, snapshot);
    let mut relay = Relay::new((incoming, sent.first), sent.lease, idle);
    if has_none(status) {
        relay.is_for_nobody();
    }
    respond(status, headers, AnswerBody::relayed(relay, exchange))
}

/// Takes off the head of an answer what was said of its way here.
pub(super) fn reread(headers: &mut HeaderMap, survey: Survey) {
    if survey.transfer_encoding {
        // The answer is framed anew (RFC 9112, 6.3).
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
    } else if survey.content_length {
        ingress::plain_length(headers);
    }
    strip_hop_by_hop(headers, survey);
}

/// What plugins do with an answer's body.
enum Filters {
    /// Nothing.
    None,
    /// They would change it if there were one: its length is not known.
    Head,
    /// They take part in it.
    Body(Need),
}

/// Puts the plugins that take part in the answer's body in place. The head is changed where they may change the body,
/// also where there is none because it is only the head that was asked for.
fn filters(exchange: &Exchange, snapshot: &Snapshot) -> Filters {
    let Some(need) = exchange.open_flow(Lane::Response, snapshot) else {
        return Filters::None;
    };
    let context = &mut *exchange.context.borrow_mut();
    let Some(head) = &mut context.response else {
        return Filters::None;
    };
    if need.changes() {
        reframe::answer(&mut head.headers);
    }
    if reframe::answer_has_body(&context.method, head.status) {
        return Filters::Body(need);
    }
    drop(context.bodies.take(Lane::Response));
    if need.changes() {
        Filters::Head
    } else {
        Filters::None
    }
}

/// Sends an answer whose body goes through plugins. Its head waits where all of the body may be known before.
async fn filtered(
    exchange: Running,
    snapshot: &Snapshot,
    source: Source,
    need: Need,
) -> Response<AnswerBody> {
    let mut filtered = Filtered::new(&exchange, source, need);
    if need == Need::Buffer || filtered.is_fed() {
        let begun = {
            let beginning = pin!(filtered.begun(&exchange));
            total::in_time(exchange.activity(), beginning).await
        };
        match begun {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let failure = error.before_the_head(&exchange);
                let answer = rescued(&exchange, &failure);
                return whole(exchange, snapshot, answer);
            }
            None => return overdue(exchange, snapshot),
        }
    }
    let (status, headers) = outgoing(&exchange, snapshot);
    let body = if filtered.is_empty() {
        AnswerBody::whole(Bytes::new(), exchange)
    } else {
        AnswerBody::filtered(filtered, exchange)
    };
    respond(status, headers, body)
}

/// What is sent where the time for all of the exchange ran out before the head left, while a plugin waited; it is told that
/// nobody waits for it any more.
fn overdue(exchange: Running, snapshot: &Snapshot) -> Response<AnswerBody> {
    exchange.abandon(Lane::Response);
    let answer = rescued(&exchange, &UpstreamFault::Overdue { its_own: false }.into());
    whole(exchange, snapshot, answer)
}

/// Sends an answer that no upstream made, after the same `header_filter`. `close`: the connection cannot go on.
pub(super) async fn local(
    exchange: Running,
    snapshot: &Snapshot,
    mut answer: Answer,
    close: bool,
) -> Response<AnswerBody> {
    // Whatever was sent of the request's body before, nobody takes the rest.
    exchange.piped.set(false);
    // Nothing comes from the upstream any more.
    exchange.activity().limit_total(None);
    if exchange.said.grpc {
        answer = grpc::told(answer);
    }
    no_agreement(&exchange, &mut answer.head);
    if close {
        answer.head.headers.insert(CONNECTION, CLOSE);
    }
    exchange.context.borrow_mut().response = Some(answer.head);
    match header_filter(&exchange, snapshot).await {
        None => match filters(&exchange, snapshot) {
            Filters::Body(need) => {
                filtered(exchange, snapshot, Source::Whole(answer.body), need).await
            }
            Filters::Head => body(exchange, snapshot, Bytes::new()),
            Filters::None => body(exchange, snapshot, answer.body),
        },
        Some(other) => whole(exchange, snapshot, other),
    }
}

/// Runs `header_filter`; an answer if a plugin failed in it, which goes out as it is.
pub(super) async fn header_filter(exchange: &Rc<Exchange>, snapshot: &Snapshot) -> Option<Answer> {
    let chain = &exchange.plan(snapshot).chain;
    match exchange.walk(chain, Phase::HeaderFilter, snapshot).await {
        Outcome::Fail(fault) => Some(rescued(exchange, &Failure::Plugin(fault))),
        _ => None,
    }
}

/// Sends an answer as it is in the place of another one. If the connection was to end with that, it ends with this.
pub(super) fn whole(
    exchange: Running,
    snapshot: &Snapshot,
    mut answer: Answer,
) -> Response<AnswerBody> {
    // Nothing comes from the upstream any more.
    exchange.activity().limit_total(None);
    if exchange.said.grpc {
        answer = grpc::told(answer);
    }
    let instead_of = exchange.context.borrow_mut().response.take();
    if instead_of.is_some_and(|head| head.headers.contains_key(CONNECTION)) {
        answer.head.headers.insert(CONNECTION, CLOSE);
    }
    exchange.context.borrow_mut().response = Some(answer.head);
    body(exchange, snapshot, answer.body)
}

fn body(exchange: Running, snapshot: &Snapshot, mut bytes: Bytes) -> Response<AnswerBody> {
    let (status, headers) = outgoing(&exchange, snapshot);
    if has_none(status) {
        bytes = Bytes::new();
    }
    respond(status, headers, AnswerBody::whole(bytes, exchange))
}

pub(super) fn respond(
    status: StatusCode,
    headers: HeaderMap,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The head that goes out, of an answer that changes nothing over.
fn outgoing(exchange: &Exchange, snapshot: &Snapshot) -> (StatusCode, HeaderMap) {
    if let Some(head) = &mut exchange.context.borrow_mut().response {
        no_agreement(exchange, head);
        reframe::bodiless(&mut head.headers, head.status);
    }
    head(exchange, snapshot)
}

/// Whether no answer with this status has a body. hyper keeps one back from clients of HTTP/1.1, but not from those of HTTP/2.
fn has_none(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Keeps an answer to an extended CONNECT from saying that the stream has changed over, as every success would.
fn no_agreement(exchange: &Exchange, head: &mut ResponseHead) {
    if exchange.said.connect && head.status.is_success() {
        head.status = StatusCode::NOT_IMPLEMENTED;
    }
}

/// The head that goes out. The context keeps its copy only if somebody may read it later.
pub(super) fn head(exchange: &Exchange, snapshot: &Snapshot) -> (StatusCode, HeaderMap) {
    let keep = exchange.plan(snapshot).keep.answer;
    match &mut exchange.context.borrow_mut().response {
        Some(head) if keep => (head.status, head.headers.clone()),
        Some(head) => (head.status, std::mem::take(&mut head.headers)),
        None => (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new()),
    }
}

/// Turns a failure into an answer, and says in the log whose side failed.
pub(super) fn rescued(exchange: &Exchange, failure: &Failure) -> Answer {
    exchange.answered_for();
    let told = rescue::rescue(failure);
    refused::note(exchange, failure, told.status.as_u16());
    let context = exchange.context.borrow();
    let (id, status) = (context.request_id.as_str(), told.status.as_u16());
    match failure {
        // A plugin's failure was told by the chain, with more than is known here. Refusals are counted, and under load
        // there may be thousands of them a second.
        Failure::Request(_)
        | Failure::NoRoute
        | Failure::MethodNotAllowed { .. }
        | Failure::Refused(_)
        | Failure::Plugin(_) => {
            tracing::debug!(target: "exchange", request_id = id, peer = %context.peer, status, "{failure}");
        }
        Failure::Panicked(_) => {
            tracing::error!(target: "panic", part = "exchange", request_id = id, peer = %context.peer, status, "{failure}");
        }
        Failure::Unavailable(_) | Failure::KeepsTooMuch { .. } | Failure::Upstream(_) => {
            tracing::warn!(target: "exchange", request_id = id, peer = %context.peer, status, "{failure}");
        }
    }
    // Of a text something is left where the body has to go.
    let said = &exchange.said;
    let as_text = said.grpc || said.accept.as_ref().is_some_and(problem::prefers_text);
    let mut answer = problem::answer(&told, as_text, &context.request_id);
    if exchange.activity().is_stream() {
        // The connection goes on (RFC 9113, 8.2.2).
        answer.head.headers.remove(CONNECTION);
    }
    match failure {
        Failure::MethodNotAllowed { allow } => {
            answer.head.headers.insert(ALLOW, allow.clone());
        }
        Failure::Refused(refusal) => {
            let seconds = HeaderValue::from(refusal.retry_after());
            answer.head.headers.insert(RETRY_AFTER, seconds);
        }
        Failure::Request(RequestFault::WebSocketVersion) => {
            // RFC 6455, 4.4.
            let versions = HeaderValue::from_static("13");
            answer.head.headers.insert(SEC_WEBSOCKET_VERSION, versions);
        }
        Failure::Upstream(UpstreamFault::NoTargets { .. } | UpstreamFault::NoSocket { .. }) => {
            // Names are looked up again about as soon, and connections end all the time.
            let seconds = HeaderValue::from_static("1");
            answer.head.headers.insert(RETRY_AFTER, seconds);
        }
        _ => {}
    }
    answer
}

/// Lets go of a request body nobody will read; whether the connection has to end with the answer.
///
/// A small one is read away, so that the next request can follow. For a large one the connection ends, but lingers, so
/// that the client reads the answer (RFC 9112, 9.6). In HTTP/2 neither is needed.
pub(super) fn dismiss(activity: &Rc<Activity>, incoming: hyper::body::Incoming) -> bool {
    use http_body_util::BodyExt as _;
    use hyper::body::Body as _;
    const SMALL: u64 = 64 * 1024;
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    if incoming.is_end_stream() {
        activity.body_ends(true);
        return false;
    }
    if activity.is_stream() {
        // Dropped, it ends only its own stream, once the answer is out (RFC 9113, 8.1).
        activity.body_ends(false);
        return false;
    }
    let activity = Rc::clone(activity);
    if incoming
        .size_hint()
        .upper()
        .is_none_or(|bytes| bytes > SMALL)
    {
        activity.body_ends(false);
        return true;
    }
    activity.body_begins();
    tokio::task::spawn_local(panics::contained(panics::Part::Exchange, async move {
        let mut incoming = incoming;
        let away = async { while let Some(Ok(_)) = incoming.frame().await {} };
        let _ = tokio::time::timeout(PATIENCE, away).await;
        activity.body_ends(incoming.is_end_stream());
    }));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_said_twice_goes_out_once() {
        let mut headers = HeaderMap::new();
        for value in ["5", "5"] {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
        }
        let survey = Survey::of(&headers);
        reread(&mut headers, survey);
        let left: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
        assert_eq!(left, ["5"]);
    }
}
