//! The upstream agreed to change over.

use std::time::Duration;

use super::ask::Upgrade;
use super::copy::{self, Early, End};
use super::side::Side;
use crate::context::ResponseHead;
use crate::context::headers::{Survey, strip_hop_by_hop};
use crate::endpoint::NOWHERE;
use crate::exchange::answer::AnswerBody;
use crate::exchange::{Running, forwarding, outgoing};
use crate::local::TunnelCount;
use crate::metrics::route::OpenTunnel;
use crate::panics::fault;
use crate::respond::failure::UpstreamFault;
use crate::snapshot::Snapshot;
use crate::upstream::heard::Heard;
use crate::upstream::lease::{Kept, Sent};
use crate::wire::Wire;
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// An upstream's connection that waits for the client's. Dropping it ends its exchange.
pub(crate) struct Tunnel {
    exchange: Running,
    _open: Option<OpenTunnel>,
    count: TunnelCount,
    _kept: Kept,
    /// How long neither side may say anything.
    silence: Duration,
    upstream: Wire,
    /// What the upstream sent right behind its head.
    early: Bytes,
}

/// Passes on that the upstream changes over, once plugins have seen the head of its answer. What they answer instead takes
/// its place, and the upstream's connection ends.
pub(in crate::exchange) async fn switch(
    exchange: Running,
    snapshot: &Snapshot,
    mut sent: Sent,
    upgrade: &Upgrade,
    silence: Duration,
) -> Response<AnswerBody> {
    // A tunnel ends when nobody says anything, however long it has been there.
    exchange.activity().limit_total(None);
    // It is held to its generation by itself.
    exchange.activity().holds(u64::MAX);
    // What its client said about itself is not kept for as long.
    exchange.activity().forgets();
    let upstream = match hyper::upgrade::on(&mut sent.response).await {
        Ok(upstream) => upstream,
        Err(source) => {
            let target = sent.lease.pool.to.target.clone();
            let answer =
                outgoing::rescued(&exchange, &UpstreamFault::Died { target, source }.into());
            return outgoing::local(exchange, snapshot, answer, false).await;
        }
    };
    let Ok(upstream) = upstream.downcast::<Heard>() else {
        return refused(exchange, snapshot, &sent, "one stream of its connection").await;
    };
    if let Err(flaw) = upgrade.is_agreed(sent.response.headers_mut()) {
        return refused(exchange, snapshot, &sent, flaw).await;
    }
    let (head, _) = sent.response.into_parts();
    let mut headers = head.headers;
    let survey = Survey::of(&headers);
    strip_hop_by_hop(&mut headers, survey);
    // It has no body, whatever it says (RFC 9110, 8.6 and RFC 9112, 6.1).
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    forwarding::via(&mut headers, exchange.generation.via.as_ref());
    exchange.context.borrow_mut().response = Some(ResponseHead {
        status: head.status,
        headers,
    });
    if let Some(answer) = outgoing::header_filter(&exchange, snapshot).await {
        return outgoing::whole(exchange, snapshot, answer);
    }
    let (_, mut headers) = outgoing::head(&exchange, snapshot);
    let status = upgrade.tell(&mut headers);
    let route = exchange.route(snapshot);
    let tunnel = Tunnel {
        upstream: upstream.io.into_wire(),
        early: upstream.read_buf,
        _kept: sent.lease.changed_over(),
        _open: route.map(|route| OpenTunnel::begin(&route.account, exchange.worker.worker)),
        silence,
        count: exchange.worker.tunnel(&exchange.generation),
        exchange,
    };
    outgoing::respond(status, headers, AnswerBody::tunnel(Box::new(tunnel)))
}

/// Answers in the place of an upstream that answered something that does not fit what it was asked for.
pub(in crate::exchange) async fn refused(
    exchange: Running,
    snapshot: &Snapshot,
    sent: &Sent,
    what: &str,
) -> Response<AnswerBody> {
    let fault = UpstreamFault::Malformed {
        target: sent.lease.pool.to.target.clone(),
        text: format!("it was asked to change over to another protocol and gave {what}"),
    };
    let answer = outgoing::rescued(&exchange, &fault.into());
    outgoing::local(exchange, snapshot, answer, false).await
}

impl Tunnel {
    /// Copies between the client and the upstream to the end. `early` came from the client with its request.
    pub(crate) async fn run(self: Box<Self>, mut client: impl Side, early: Bytes) {
        // Dropped from the last to the first: whoever reads in a log that it is over finds that it is.
        let Self {
            exchange,
            _open,
            count,
            _kept,
            silence,
            mut upstream,
            early: from_upstream,
        } = *self;
        let early = Early {
            client: unless_empty(early),
            upstream: unless_empty(from_upstream),
        };
        let copied = copy::both(&mut client, &mut upstream, early, silence, |up, down| {
            exchange.count_tunnel(up, down);
            fault::point("tunnel");
        });
        let end = tokio::select! {
            biased;
            end = copied => end,
            // Both connections end in the middle of what they do.
            () = count.overdue() => return,
        };
        if !matches!(end, End::Over) {
            let context = exchange.context.borrow();
            let id = context.request_id.as_str();
            let at = context.figures.target.as_ref().unwrap_or(&NOWHERE);
            tracing::debug!(target: "tunnel", request_id = id, upstream = %at, "{end}");
        }
        drop(client);
    }
}

/// Bytes that are there, without what an empty buffer would keep alive.
fn unless_empty(bytes: Bytes) -> Bytes {
    if bytes.is_empty() {
        Bytes::new()
    } else {
        bytes
    }
}
