//! The sequence itself.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use thiserror::Error;

use super::admission::Refused;
use super::answer::AnswerBody;
use super::begin::{Rest, begin};
use super::fallen::{self, Begun};
use super::flow::Stop;
use super::ingress::Framing;
use super::pump::{self, Pump, Stopped};
use super::tunnel::ask::Upgrade;
use super::tunnel::switch::{refused, switch};
use super::{Exchange, Peer, admission, choice, direct, hops, mirror, outgoing, shed, upward};
use crate::activity::Activity;
use crate::chain::Outcome;
use crate::context::{Answer, Lane, Phase};
use crate::endpoint::NOWHERE;
use crate::local::Local;
use crate::panics::{self, Part};
use crate::respond::failure::{Failure, RequestFault, UpstreamFault};
use crate::router::table::{self, Lookup};
use crate::snapshot::leads::{self, ForwardedPath};
use crate::snapshot::{Action, Forward, Snapshot};
use crate::stream::{Need, reframe};
use crate::upstream::body::{BodyFault, RequestBody, Stream};
use crate::upstream::interim;
use crate::upstream::lease::Sent;
use crate::upstream::send::{Order, send};
use crate::upstream::total::Total;

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

/// What takes the place of an upstream's answer.
enum Instead {
    /// An answer, and what is left of the request's body: of a plugin that saw it, or of an upstream that is left alone.
    Answer(Answer, Option<Incoming>),
    /// It failed; what is left of the request's body, where a plugin ended it or it never left.
    Failure(Failure, Option<Incoming>),
}

impl<T: Into<Failure>> From<T> for Instead {
    fn from(failure: T) -> Self {
        Self::Failure(failure.into(), None)
    }
}

async fn forward(
    exchange: &Rc<Exchange>,
    snapshot: &Snapshot,
    (forward, path, upgrade): (&Forward, &ForwardedPath, Option<&Upgrade>),
    (rest, peer): (Rest, &Peer),
) -> Result<Sent, Instead> {
    let generation = Rc::clone(&exchange.generation);
    let Some(route) = exchange.route(snapshot) else {
        return Err(Failure::NoRoute.into());
    };
    let (limit, idle) = (route.body_bytes, snapshot.settings.client_timeouts.body);
    let fields = snapshot.settings.limits.headers;
    let stream = (!rest.body.is_end_stream()).then(|| {
        let watch = pump::watch(exchange);
        let trailers = (Rc::clone(&generation.client_headers), fields);
        Stream::new(rest.body, (limit, idle), watch, trailers)
    });
    let need = match upgrade {
        // Nothing but the handshake is for plugins to see.
        Some(_) => None,
        None => exchange.open_flow(Lane::Request, snapshot),
    };
    let (body, way) = match need {
        Some(need) => piped(exchange, stream, need, ((limit, fields), rest.framing)).await?,
        None => (
            stream.map_or(RequestBody::Empty, |stream| {
                RequestBody::Stream(Box::new(stream))
            }),
            Way::AsItCame,
        ),
    };
    // Not before the body: a plugin that has seen it may still choose.
    let Some((group, wish)) = choice::leads(exchange, &generation, snapshot, forward) else {
        return Err(Instead::Failure(Failure::NoRoute, way.left_of(body)));
    };
    let activity = Rc::clone(exchange.activity());
    // Whatever is waited for from here on has one limit on all of it.
    let total = Total::begin(&activity, forward.timeouts.total);
    let entering = pin!(admission::enter(exchange, &generation, &group));
    let call = match total.within(entering).await {
        Ok(call) => call,
        Err(Refused::Answer(answer)) => return Err(Instead::Answer(*answer, way.left_of(body))),
        Err(Refused::Failure(failure)) => {
            return Err(Instead::Failure(failure, way.left_of(body)));
        }
    };
    let mut request = upward::request(exchange, path, route.plan.keep, rest.framing, body)
        .map_err(|error| {
            let target = group
                .pools()
                .first()
                .map_or(NOWHERE, |pool| pool.to.target.clone());
            Failure::Upstream(UpstreamFault::Unwritable {
                target,
                text: error.to_string(),
            })
        })?;
    let stopped = way.shape(&mut request);
    match upgrade {
        Some(upgrade) => upgrade.ask(request.headers_mut()),
        None => upward::trailers(exchange, &mut request, rest.trailer),
    }
    if exchange
        .flow_need(Lane::Response, snapshot)
        .is_some_and(Need::changes)
    {
        reframe::request_for_change(request.headers_mut());
    }
    if let Some(mirror) = &forward.mirror
        && upgrade.is_none()
    {
        request = mirror::copied(exchange, &generation, (forward, mirror), request);
    }
    let watch = exchange.body.get().cloned();
    let outbox = peer.outbox(exchange.context.borrow().version);
    let room = Cell::new(interim::MOST);
    let pass = |interim| {
        if let (Some(outbox), Some(left)) = (outbox, room.get().checked_sub(1)) {
            room.set(left);
            outbox.pass(interim, generation.via.as_ref());
        }
    };
    let order = Order {
        group: &group,
        wish,
        timeouts: forward.timeouts,
        retries: forward.retries.as_deref(),
        preserve_host: forward.preserve_host,
        activity: &activity,
        body: watch.as_deref(),
        upgrade: upgrade.map(|upgrade| &upgrade.token),
        interim: outbox.is_some().then_some(&pass),
    };
    let sent = total.within(pin!(send(&order, request))).await;
    if let Some(outbox) = outbox {
        outbox.has_left().await;
    }
    if sent.is_err() {
        drop(exchange.permits.take());
    }
    let fault = watch.and_then(|body| body.fault.get());
    if let Some(instead) = stopped.and_then(|stopped| stopped.instead()) {
        return Err(instead);
    }
    match (sent, fault) {
        (Ok(mut sent), _) => {
            exchange.fault("upstream");
            choice::keep(exchange, &group, wish, &mut sent);
            call.answered(sent.response.status());
            exchange.answered_by(&sent.lease.pool.to.target, &route.plan);
            Ok(sent)
        }
        // The upstream's connection broke because the client's body did: the client's fault, not the upstream's.
        (Err(_), Some(fault)) if fault != BodyFault::Stopped => {
            Err(told(fault, (limit, fields)).into())
        }
        (Err(fault), _) => {
            call.failed(&fault);
            Err(fault.into())
        }
    }
}

/// How the head of a request is made to fit its body.
enum Way {
    /// Nobody may change it.
    AsItCame,
    /// It goes through plugins.
    Through {
        /// How long it will be, where that is known; none where nobody may change it.
        len: Option<Option<u64>>,
        /// Whether the client said that there is one, be it empty.
        had: bool,
        stopped: Rc<Stopped>,
    },
}

impl Way {
    /// What is left of the client's body where no upstream takes any of it.
    fn left_of(&self, body: RequestBody) -> Option<Incoming> {
        match (body, self) {
            (RequestBody::Stream(mut stream), _) => stream.give_up(),
            (body, Self::Through { stopped, .. }) => {
                stopped.wanted.set(true);
                drop(body);
                stopped.rest.take()
            }
            (_, Self::AsItCame) => None,
        }
    }

    fn shape(self, request: &mut http::Request<RequestBody>) -> Option<Rc<Stopped>> {
        let Self::Through { len, had, stopped } = self else {
            return None;
        };
        if let Some(len) = len {
            reframe::request(request.headers_mut());
            reframe::request_length(request.headers_mut(), len, had);
        }
        Some(stopped)
    }
}

/// The body through the plugins that take part in it. The head waits where one may want all of it first, and where all
/// of it is there.
async fn piped(
    exchange: &Rc<Exchange>,
    stream: Option<Stream>,
    need: Need,
    (limits, framing): ((u64, usize), Framing),
) -> Result<(RequestBody, Way), Instead> {
    // A length of nothing is a body as well: servers refuse a POST without one (RFC 9110, 8.6).
    let had = framing == Framing::Chunked
        || exchange
            .context
            .borrow()
            .request_headers
            .contains_key(CONTENT_LENGTH);
    let mut pump = Pump::new(exchange, stream, need);
    let stopped = pump.stopped();
    let mut len = None;
    if need == Need::Buffer || pump.is_fed() {
        len = match pump.begun().await {
            Ok(len) => len,
            Err(error) => {
                let instead = stopped.instead();
                return Err(instead.unwrap_or_else(|| told(error.0, limits).into()));
            }
        };
    }
    let way = Way::Through {
        len: need.changes().then_some(len),
        had,
        stopped,
    };
    let body = if len == Some(0) {
        RequestBody::Empty
    } else {
        RequestBody::Piped(Box::pin(pump))
    };
    Ok((body, way))
}

impl Stopped {
    /// What takes the place of the upstream's answer, if a plugin ended the body.
    fn instead(&self) -> Option<Instead> {
        let rest = self.rest.take();
        Some(match self.why.take()? {
            Stop::Answer(answer) => Instead::Answer(answer, rest),
            Stop::Failure(failure) => Instead::Failure(failure, rest),
        })
    }
}

/// What a client's body did wrong.
fn told(fault: BodyFault, (limit, fields): (u64, usize)) -> RequestFault {
    match fault {
        BodyFault::TooLarge => RequestFault::BodyTooLarge { limit },
        BodyFault::Crowded => RequestFault::TooManyFields { limit: fields },
        BodyFault::Slow => RequestFault::BodySlow,
        BodyFault::Broken | BodyFault::Stopped => RequestFault::Body,
    }
}
