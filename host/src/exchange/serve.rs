//! The sequence itself.

use std::pin::pin;
use std::rc::Rc;

use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use thiserror::Error;

use super::answer::AnswerBody;
use super::begin::{Rest, begin};
use super::fallen::{self, Begun};
use super::forward::{Instead, forward};
use super::tunnel::ask::Upgrade;
use super::tunnel::switch::{refused, switch};
use super::{Exchange, Peer, direct, hops, outgoing, shed};
use crate::activity::Activity;
use crate::chain::Outcome;
use crate::context::{Answer, Phase};
use crate::local::Local;
use crate::panics::{self, Part};
use crate::respond::failure::{Failure, RequestFault};
use crate::router::table::{self, Lookup};
use crate::snapshot::leads::{self, ForwardedPath};
use crate::snapshot::{Action, Forward, Snapshot};

/// Nothing can be answered: the connection is reset.
#[derive(Debug, Error)]
#[error("the exchange cannot be answered")]
pub struct Aborted;

/// Serves one request; `activity` is the record it is held to: of its connection, or in HTTP/2 of its stream. A panic on
/// the way to the answer costs this exchange only.
///
/// # Errors
/// Only when there is nothing that could be sent; hyper then ends the connection.
pub async fn serve(
    worker: Rc<Local>,
    peer: Rc<Peer>,
    activity: Rc<Activity>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Aborted> {
    let begun = Begun::default();
    let sequence = pin!(sequence(
        Rc::clone(&worker),
        Rc::clone(&peer),
        Rc::clone(&activity),
        request,
        &begun
    ));
    match panics::isolated(Part::Exchange, sequence).await {
        Ok(answered) => answered,
        Err(panicked) => {
            peer.interim.forget();
            fallen::answer(&worker, &activity, begun.take(), panicked)
        }
    }
}

async fn sequence(
    worker: Rc<Local>,
    peer: Rc<Peer>,
    activity: Rc<Activity>,
    request: Request<Incoming>,
    begun: &Begun,
) -> Result<Response<AnswerBody>, Aborted> {
    let generation = worker.generation();
    let Some(snapshot) = generation.snapshot() else {
        return Err(Aborted);
    };
    let counted = match shed::admit(&generation, &activity) {
        Ok(counted) => counted,
        Err(refusal) => return Ok(shed::turn_away(&worker, &activity, request, refusal)),
    };
    let (exchange, rest, read) = begin(
        worker,
        Rc::clone(&generation),
        (&peer, activity),
        &snapshot.settings,
        request,
    );
    begun.set(Some(Rc::clone(&exchange)));
    exchange.counted.set(counted);
    exchange.fault("head");
    let early = match read {
        Ok(()) => admit(&exchange, snapshot, &rest).await,
        Err(fault) => Err(fault.into()),
    };
    let early = match early {
        Ok(Next::Forward(order, path, upgrade)) => {
            let upgrade = upgrade.as_ref();
            return Ok(
                match forward(&exchange, snapshot, (order, &path, upgrade), (rest, &peer)).await {
                    Ok(sent) => match upgrade {
                        Some(upgrade) if sent.is_upgrade() => {
                            let silence = order.timeouts.tunnel;
                            switch(exchange, snapshot, sent, upgrade, silence).await
                        }
                        Some(upgrade) if upgrade.would_be_agreed(sent.response.status()) => {
                            refused(exchange, snapshot, &sent, "an answer of success").await
                        }
                        _ => outgoing::relay(exchange, snapshot, sent, order.timeouts.idle).await,
                    },
                    Err(Instead::Answer(answer, rest)) => {
                        let close =
                            rest.is_some_and(|rest| outgoing::dismiss(exchange.activity(), rest));
                        outgoing::local(exchange, snapshot, answer, close).await
                    }
                    Err(Instead::Failure(failure, rest)) => {
                        let close =
                            rest.is_some_and(|rest| outgoing::dismiss(exchange.activity(), rest));
                        let answer = outgoing::rescued(&exchange, &failure);
                        outgoing::local(exchange, snapshot, answer, close).await
                    }
                },
            );
        }
        Ok(Next::Answer(answer)) => answer,
        Err(failure) => outgoing::rescued(&exchange, &failure),
    };
    let close = outgoing::dismiss(exchange.activity(), rest.body);
    Ok(outgoing::local(exchange, snapshot, early, close).await)
}

/// How an admitted request goes on.
enum Next<'s> {
    /// To an upstream, under this path, perhaps asking it to change over to another protocol.
    Forward(&'s Forward, ForwardedPath, Option<Upgrade>),
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
    if rest.ends_here {
        return Ok(Next::Answer(hops::options()));
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
            let upgrade = match &rest.asked {
                None => None,
                Some(asked) => asked.choose(
                    &forward.upgrades,
                    (&context.method, &context.request_headers),
                    !rest.body.is_end_stream(),
                )?,
            };
            Ok(Next::Forward(forward, path, upgrade))
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
        Outcome::Continue | Outcome::Pending(_) | Outcome::Buffer | Outcome::Out => Ok(None),
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
        sni: context.connection.sni(),
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
