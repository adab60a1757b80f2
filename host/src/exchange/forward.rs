//! To an upstream, and to the head of its answer.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use hyper::body::{Body as _, Incoming};

use super::admission::Refused;
use super::begin::Rest;
use super::fitted::{Way, piped};
use super::flow::Stop;
use super::pump::{self, Stopped};
use super::tunnel::ask::Upgrade;
use super::{Exchange, Peer, admission, choice, mirror, upward};
use crate::context::{Answer, Lane};
use crate::endpoint::NOWHERE;
use crate::respond::failure::{Failure, RequestFault, UpstreamFault};
use crate::snapshot::leads::ForwardedPath;
use crate::snapshot::{Forward, Snapshot};
use crate::stream::{Need, reframe};
use crate::upstream::body::{BodyFault, RequestBody, Stream};
use crate::upstream::interim;
use crate::upstream::lease::Sent;
use crate::upstream::send::{Order, send};
use crate::upstream::total::Total;

/// What takes the place of an upstream's answer.
pub(super) enum Instead {
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

/// Sends the request to an upstream and gives back the head of its answer.
///
/// # Errors
/// What takes the place of that.
pub(super) async fn forward(
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

impl Stopped {
    /// What takes the place of the upstream's answer, if a plugin ended the body.
    pub(super) fn instead(&self) -> Option<Instead> {
        let rest = self.rest.take();
        Some(match self.why.take()? {
            Stop::Answer(answer) => Instead::Answer(answer, rest),
            Stop::Failure(failure) => Instead::Failure(failure, rest),
        })
    }
}

/// What a client's body did wrong.
pub(super) fn told(fault: BodyFault, (limit, fields): (u64, usize)) -> RequestFault {
    match fault {
        BodyFault::TooLarge => RequestFault::BodyTooLarge { limit },
        BodyFault::Crowded => RequestFault::TooManyFields { limit: fields },
        BodyFault::Slow => RequestFault::BodySlow,
        BodyFault::Broken | BodyFault::Stopped => RequestFault::Body,
    }
}
