//! The sequence itself.

use std::borrow::Cow;
use std::rc::Rc;

use http::header::{ALLOW, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use thiserror::Error;

use super::answer::AnswerBody;
use super::ingress::{self, Framing};
use super::{Exchange, Peer, forwarding, upward};
use crate::chain::Outcome;
use crate::context::{Answer, Context, Ends, Phase, ResponseHead};
use crate::local::Local;
use crate::respond::failure::{Failure, RequestFault, UpstreamFault};
use crate::respond::{problem, rescue};
use crate::router::table::Lookup;
use crate::snapshot::{Settings, Snapshot};
use crate::upstream::body::{BodyFault, BodyWatch, RequestBody};
use crate::upstream::send::{Sent, send};

/// Nothing can be answered: the connection is reset.
#[derive(Debug, Error)]
#[error("the exchange cannot be answered")]
pub struct Aborted;

/// Serves one request.
///
/// # Errors
/// Only when there is nothing that could be sent; hyper then ends the connection.
pub async fn serve(
    worker: Rc<Local>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Aborted> {
    let generation = worker.generation();
    let Some(snapshot) = generation.snapshot() else {
        return Err(Aborted);
    };
    let (mut exchange, read) = begin(worker, &peer, &snapshot.settings, request);
    let came = match read {
        Ok(incoming) => respond_to(&mut exchange, snapshot, incoming).await,
        Err(fault) => Err(Failure::Request(fault)),
    };
    Ok(match came {
        Ok(Came::Upstream(sent)) => relay(exchange, snapshot, *sent),
        Ok(Came::Plugin(answer)) => local_answer(exchange, snapshot, answer),
        Err(failure) => {
            let answer = rescued(&exchange, &failure);
            local_answer(exchange, snapshot, answer)
        }
    })
}

/// What a request came to.
enum Came {
    /// The upstream answered.
    Upstream(Box<Sent>),
    /// A plugin did.
    Plugin(Answer),
}

/// What is left of a request once its head is read.
struct Rest {
    body: Incoming,
    framing: Framing,
}

/// Reads the head; makes the exchange in any case, because a refused request has an answer and a log as well.
fn begin(
    worker: Rc<Local>,
    peer: &Rc<Peer>,
    settings: &Settings,
    request: Request<Incoming>,
) -> (Box<Exchange>, Result<Rest, RequestFault>) {
    let (mut head, body) = request.into_parts();
    let generation = worker.generation();
    let (token, fresh_id) = worker.next_exchange();
    let trusted = &settings.trusted_addresses;
    let known_id = if forwarding::is_trusted(peer.peer.ip(), trusted) {
        forwarding::known_request_id(&head.headers)
    } else {
        None
    };
    let request_id = known_id.unwrap_or(fresh_id);
    let read = read(&mut head, settings.merge_slashes);
    let client = forwarding::apply(&mut head.headers, &peer.values, trusted, &request_id);
    forwarding::via(&mut head.headers, settings.via.as_ref());
    let ends = Ends {
        peer: peer.peer,
        local: peer.local,
        client,
    };
    let mut context = Context::new(token, request_id, head.uri, head.method, head.headers, ends);
    let rest = read.map(|read| {
        context.host = read.host;
        if let Some(path) = read.path {
            context.set_path(path);
        }
        Rest {
            body,
            framing: read.framing,
        }
    });
    (
        Exchange::new(worker, generation, Rc::clone(peer), context),
        rest,
    )
}

/// What a head says, once it is checked.
struct Read {
    host: Box<str>,
    /// The normal form, where the target is not already in it.
    path: Option<Box<str>>,
    framing: Framing,
}

fn read(head: &mut Parts, merge_slashes: bool) -> Result<Read, RequestFault> {
    ingress::target(&head.method, &head.uri)?;
    let host = ingress::host(&head.uri, head.version, &head.headers)?;
    let framing = ingress::framing(&mut head.headers)?;
    ingress::hop_by_hop(&mut head.headers)?;
    if let Some(replaces) = host.replaces {
        head.headers.insert(HOST, replaces);
    }
    let path = match ingress::path(&head.uri, merge_slashes)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path.into()),
    };
    Ok(Read {
        host: host.name,
        path,
        framing,
    })
}

async fn respond_to(
    exchange: &mut Exchange,
    snapshot: &Snapshot,
    incoming: Rest,
) -> Result<Came, Failure> {
    if let Some(reason) = &snapshot.global.unavailable {
        return Err(Failure::Unavailable(reason.clone()));
    }
    if let Some(answer) = phase(exchange, snapshot, Phase::Rewrite)? {
        return Ok(Came::Plugin(answer));
    }
    route(exchange, snapshot)?;
    if let Some(reason) = &exchange.plan(snapshot).unavailable {
        return Err(Failure::Unavailable(reason.clone()));
    }
    let limit = exchange
        .route(snapshot)
        .map_or(0, |(route, _)| route.body_bytes);
    if incoming.body.size_hint().lower() > limit {
        return Err(RequestFault::BodyTooLarge { limit }.into());
    }
    if let Some(answer) = phase(exchange, snapshot, Phase::Access)? {
        return Ok(Came::Plugin(answer));
    }
    forward(exchange, snapshot, incoming, limit)
        .await
        .map(|sent| Came::Upstream(Box::new(sent)))
}

/// Runs `rewrite` of the global chain or `access` of the selected one.
fn phase(
    exchange: &mut Exchange,
    snapshot: &Snapshot,
    phase: Phase,
) -> Result<Option<Answer>, Failure> {
    let plan = if phase == Phase::Rewrite {
        &snapshot.global
    } else {
        exchange.plan(snapshot)
    };
    match exchange.run(&plan.chain, phase, snapshot) {
        Outcome::Continue => Ok(None),
        Outcome::Answer => Ok(exchange.context.answer.take()),
        Outcome::Fail(fault) => Err(Failure::Plugin(fault)),
    }
}

fn route(exchange: &mut Exchange, snapshot: &Snapshot) -> Result<(), Failure> {
    let context = &mut exchange.context;
    let mut params = std::mem::take(&mut context.params);
    let found = snapshot
        .table
        .find(&context.host, context.path(), &context.method, &mut params);
    context.params = params;
    match found {
        Lookup::Found(matched) => {
            exchange.matched = Some(matched);
            Ok(())
        }
        Lookup::NotFound => Err(Failure::NoRoute),
        Lookup::MethodNotAllowed { allow } => {
            let names: Vec<&str> = allow.iter().map(http::Method::as_str).collect();
            let allow =
                HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""));
            Err(Failure::MethodNotAllowed { allow })
        }
    }
}

async fn forward(
    exchange: &mut Exchange,
    snapshot: &Snapshot,
    incoming: Rest,
    limit: u64,
) -> Result<Sent, Failure> {
    let Some((route, service)) = exchange.route(snapshot) else {
        return Err(Failure::NoRoute);
    };
    let generation = Rc::clone(&exchange.generation);
    let Some(group) = generation.groups.get(service.upstream) else {
        return Err(Failure::NoRoute);
    };
    let body = if incoming.body.is_end_stream() {
        RequestBody::Empty
    } else {
        let watch = Rc::new(BodyWatch::default());
        exchange.body = Some(Rc::clone(&watch));
        RequestBody::stream(
            incoming.body,
            limit,
            snapshot.settings.client_timeouts.body,
            watch,
        )
    };
    let keep_headers = route.plan.chain.reads_request_later();
    let request = upward::request(exchange, route, incoming.framing, body, keep_headers).map_err(
        |error| {
            let target = group
                .pools
                .first()
                .map_or(([0, 0, 0, 0], 0).into(), |pool| pool.target);
            Failure::Upstream(UpstreamFault::Unwritable {
                target,
                text: error.to_string(),
            })
        },
    )?;
    let sent = send(group, request, service.timeouts, route.preserve_host).await;
    let fault = exchange.body.as_ref().and_then(|body| body.fault.get());
    match (sent, fault) {
        (Ok(sent), _) => {
            exchange.context.figures.upstream = Some(sent.started.elapsed());
            exchange.context.figures.target = Some(sent.lease.pool.target);
            Ok(sent)
        }
        // The upstream's connection broke because the client's body did: the client's fault, not the upstream's.
        (Err(_), Some(BodyFault::TooLarge)) => Err(RequestFault::BodyTooLarge { limit }.into()),
        (Err(_), Some(BodyFault::Broken)) => Err(RequestFault::Body.into()),
        (Err(_), Some(BodyFault::Slow)) => Err(RequestFault::BodySlow.into()),
        (Err(fault), None) => Err(fault.into()),
    }
}

/// Passes an upstream's answer on.
fn relay(mut exchange: Box<Exchange>, snapshot: &Snapshot, sent: Sent) -> Response<AnswerBody> {
    let (head, incoming) = sent.response.into_parts();
    let mut headers = head.headers;
    if headers.contains_key(TRANSFER_ENCODING) {
        // Chunked wins over a length (RFC 9112, 6.3), and the answer is framed anew.
        headers.remove(http::header::CONTENT_LENGTH);
    }
    ingress::strip_hop_by_hop(&mut headers);
    forwarding::via(&mut headers, snapshot.settings.via.as_ref());
    exchange.context.response = Some(ResponseHead {
        status: head.status,
        headers,
    });
    if let Some(answer) = header_filter(&mut exchange, snapshot) {
        return finished(exchange, answer);
    }
    let idle = exchange
        .route(snapshot)
        .map_or(std::time::Duration::MAX, |(_, service)| {
            service.timeouts.idle
        });
    let (status, headers) = outgoing(&mut exchange);
    let mut response = Response::new(AnswerBody::relayed(incoming, sent.lease, idle, exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sends an answer that no upstream made, after the same `header_filter`.
fn local_answer(
    mut exchange: Box<Exchange>,
    snapshot: &Snapshot,
    answer: Answer,
) -> Response<AnswerBody> {
    exchange.context.response = Some(answer.head);
    match header_filter(&mut exchange, snapshot) {
        Some(other) => finished(exchange, other),
        None => whole(exchange, answer.body),
    }
}

/// Runs `header_filter`; an answer if a plugin failed in it, which goes out as it is.
fn header_filter(exchange: &mut Exchange, snapshot: &Snapshot) -> Option<Answer> {
    let chain = &exchange.plan(snapshot).chain;
    match exchange.run(chain, Phase::HeaderFilter, snapshot) {
        Outcome::Continue | Outcome::Answer => None,
        Outcome::Fail(fault) => Some(rescued(exchange, &Failure::Plugin(fault))),
    }
}

fn finished(mut exchange: Box<Exchange>, answer: Answer) -> Response<AnswerBody> {
    exchange.context.response = Some(answer.head);
    whole(exchange, answer.body)
}

fn whole(mut exchange: Box<Exchange>, body: bytes::Bytes) -> Response<AnswerBody> {
    let (status, headers) = outgoing(&mut exchange);
    let mut response = Response::new(AnswerBody::whole(body, exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The head that goes out. The context keeps its copy only if the log phase may read it.
fn outgoing(exchange: &mut Exchange) -> (http::StatusCode, HeaderMap) {
    let generation = Rc::clone(&exchange.generation);
    let logs = generation.snapshot().is_some_and(|snapshot| {
        let chain = &exchange.plan(snapshot).chain;
        !chain.of(Phase::Log).is_empty()
    });
    match &mut exchange.context.response {
        Some(head) if logs => (head.status, head.headers.clone()),
        Some(head) => (head.status, std::mem::take(&mut head.headers)),
        None => (http::StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new()),
    }
}

/// Turns a failure into an answer, and says in the log whose side failed.
fn rescued(exchange: &Exchange, failure: &Failure) -> Answer {
    let told = rescue::rescue(failure);
    let context = &exchange.context;
    let id = exchange.request_id().to_str().unwrap_or_default();
    match failure {
        Failure::Request(_) | Failure::NoRoute | Failure::MethodNotAllowed { .. } => {
            tracing::debug!(target: "exchange", request_id = id, peer = %context.peer, status = told.status.as_u16(), "{failure}");
        }
        Failure::Unavailable(_) | Failure::Plugin(_) | Failure::Upstream(_) => {
            tracing::warn!(target: "exchange", request_id = id, peer = %context.peer, status = told.status.as_u16(), "{failure}");
        }
    }
    let mut answer = problem::answer(&told, &context.request_headers, exchange.request_id());
    if let Failure::MethodNotAllowed { allow } = failure {
        answer.head.headers.insert(ALLOW, allow.clone());
    }
    answer
}
