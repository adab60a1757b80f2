//! The sequence itself.

use std::rc::Rc;

use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use thiserror::Error;

use super::answer::AnswerBody;
use super::begin::{Rest, begin};
use super::{Exchange, Peer, direct, outgoing, upward};
use crate::chain::Outcome;
use crate::context::{Answer, Phase};
use crate::local::Local;
use crate::respond::failure::{Failure, RequestFault, UpstreamFault};
use crate::router::table::{self, Lookup};
use crate::snapshot::leads::{self, ForwardedPath};
use crate::snapshot::{Action, Forward, Snapshot};
use crate::upstream::body::{BodyFault, BodyWatch, RequestBody};
use crate::upstream::send::{Order, Sent, send};

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
    let (exchange, rest, read) = begin(
        worker,
        Rc::clone(&generation),
        &peer,
        &snapshot.settings,
        request,
    );
    let early = match read {
        Ok(()) => admit(&exchange, snapshot, &rest).await,
        Err(fault) => Err(fault.into()),
    };
    let early = match early {
        Ok(Next::Forward(order, path)) => {
            return Ok(
                match forward(&exchange, snapshot, (order, &path), rest).await {
                    Ok(sent) => {
                        outgoing::relay(exchange, snapshot, sent, order.timeouts.idle).await
                    }
                    Err(failure) => {
                        let answer = outgoing::rescued(&exchange, &failure);
                        outgoing::local(exchange, snapshot, answer, false).await
                    }
                },
            );
        }
        Ok(Next::Answer(answer)) => answer,
        Err(failure) => outgoing::rescued(&exchange, &failure),
    };
    let close = outgoing::dismiss(&exchange, rest.body);
    Ok(outgoing::local(exchange, snapshot, early, close).await)
}

/// How an admitted request goes on.
enum Next<'s> {
    /// To an upstream, under this path.
    Forward(&'s Forward, ForwardedPath),
    /// With the answer of a plugin or of the route itself.
    Answer(Answer),
}

/// Everything before the upstream.
async fn admit<'s>(
    exchange: &Rc<Exchange>,
    snapshot: &'s Snapshot,
    rest: &Rest,
) -> Result<Next<'s>, Failure> {
    if let Some(reason) = &snapshot.global.unavailable {
        return Err(Failure::Unavailable(reason.clone()));
    }
    if let Some(answer) = phase(exchange, snapshot, Phase::Rewrite).await? {
        return Ok(Next::Answer(answer));
    }
    route(exchange, snapshot)?;
    if let Some(reason) = &exchange.plan(snapshot).unavailable {
        return Err(Failure::Unavailable(reason.clone()));
    }
    let limit = body_limit(exchange, snapshot);
    if rest.body.size_hint().lower() > limit {
        return Err(RequestFault::BodyTooLarge { limit }.into());
    }
    if let Some(answer) = phase(exchange, snapshot, Phase::Access).await? {
        return Ok(Next::Answer(answer));
    }
    match exchange.route(snapshot).map(|route| &route.action) {
        Some(Action::Forward(forward)) => {
            let matched = exchange.matched.get();
            let prefix_len = matched.map_or(0, |matched| matched.prefix_len);
            let context = exchange.context.borrow();
            let path = leads::path(
                &forward.path,
                (context.path(), prefix_len),
                snapshot.settings.merge_slashes,
                |template| exchange.render(&context, template, snapshot),
            )?;
            Ok(Next::Forward(forward, path))
        }
        Some(Action::Redirect(redirect)) => {
            direct::redirect(exchange, snapshot, redirect).map(Next::Answer)
        }
        Some(Action::Respond(respond)) => Ok(Next::Answer(direct::respond(respond))),
        None => Err(Failure::NoRoute),
    }
}

/// Runs `rewrite` of the global chain or `access` of the selected one.
async fn phase(
    exchange: &Rc<Exchange>,
    snapshot: &Snapshot,
    phase: Phase,
) -> Result<Option<Answer>, Failure> {
    let plan = if phase == Phase::Rewrite {
        &snapshot.global
    } else {
        exchange.plan(snapshot)
    };
    match exchange.walk(&plan.chain, phase, snapshot).await {
        Outcome::Continue | Outcome::Pending(_) | Outcome::Buffer => Ok(None),
        Outcome::Answer => Ok(exchange.context.borrow_mut().answer.take()),
        Outcome::Fail(fault) => Err(Failure::Plugin(fault)),
    }
}

fn route(exchange: &Exchange, snapshot: &Snapshot) -> Result<(), Failure> {
    let mut context = exchange.context.borrow_mut();
    let mut params = std::mem::take(&mut context.params);
    let request = table::Request {
        host: context.host.as_str(),
        path: context.path(),
        method: &context.method,
        headers: &context.request_headers,
        query: context.query(),
        client: context.client,
    };
    let found = snapshot.table.find(&request, &mut params);
    context.params = params;
    match found {
        Lookup::Found(matched) => {
            exchange.matched.set(Some(matched));
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

fn body_limit(exchange: &Exchange, snapshot: &Snapshot) -> u64 {
    exchange.route(snapshot).map_or(0, |route| route.body_bytes)
}

async fn forward(
    exchange: &Exchange,
    snapshot: &Snapshot,
    (forward, path): (&Forward, &ForwardedPath),
    rest: Rest,
) -> Result<Sent, Failure> {
    let generation = Rc::clone(&exchange.generation);
    let service = snapshot.services.get(forward.service);
    let group = service.and_then(|service| generation.groups.get(service.upstream));
    let (Some(route), Some(group)) = (exchange.route(snapshot), group) else {
        return Err(Failure::NoRoute);
    };
    let limit = body_limit(exchange, snapshot);
    let body = if rest.body.is_end_stream() {
        RequestBody::Empty
    } else {
        let watch = BodyWatch::new(Rc::clone(exchange.activity()), exchange.started);
        let _ = exchange.body.set(Rc::clone(&watch));
        RequestBody::stream(
            rest.body,
            limit,
            snapshot.settings.client_timeouts.body,
            watch,
        )
    };
    let request =
        upward::request(exchange, path, route.plan.keep, rest.framing, body).map_err(|error| {
            let target = group
                .pools
                .first()
                .map_or(([0, 0, 0, 0], 0).into(), |pool| pool.target);
            Failure::Upstream(UpstreamFault::Unwritable {
                target,
                text: error.to_string(),
            })
        })?;
    let activity = Rc::clone(exchange.activity());
    let watch = exchange.body.get().cloned();
    let order = Order {
        group,
        timeouts: forward.timeouts,
        preserve_host: forward.preserve_host,
        activity: &activity,
        body: watch.as_deref(),
    };
    let sent = send(&order, request).await;
    match (sent, watch.and_then(|body| body.fault.get())) {
        (Ok(sent), _) => {
            exchange.answered_by(sent.lease.pool.target, &route.plan);
            Ok(sent)
        }
        // The upstream's connection broke because the client's body did: the client's fault, not the upstream's.
        (Err(_), Some(BodyFault::TooLarge)) => Err(RequestFault::BodyTooLarge { limit }.into()),
        (Err(_), Some(BodyFault::Broken)) => Err(RequestFault::Body.into()),
        (Err(_), Some(BodyFault::Slow)) => Err(RequestFault::BodySlow.into()),
        (Err(fault), None) => Err(fault.into()),
    }
}
