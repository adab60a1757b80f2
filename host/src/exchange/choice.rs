//! Where a request goes: to the service of its route, to one of the upstreams that share its requests, or where a plugin
//! wants it to go.

use std::net::IpAddr;
use std::rc::Rc;

use http::HeaderMap;
use http::header::SET_COOKIE;

use super::Exchange;
use crate::config::ready::HashBy;
use crate::context::{Choice, Context};
use crate::local::Generation;
use crate::local::shares::Shares;
use crate::router::condition::cookies;
use crate::snapshot::{Forward, Snapshot};
use crate::upstream::balance::Wish;
use crate::upstream::balance::ring::hash;
use crate::upstream::group::Group;
use crate::upstream::lease::Sent;

/// The targets a request may go to, and what it asks of the choice among them.
pub(super) fn leads(
    exchange: &Exchange,
    generation: &Generation,
    snapshot: &Snapshot,
    forward: &Forward,
) -> Option<(Rc<Group>, Wish)> {
    let choice = exchange.context.borrow().choice;
    let of = |service: usize| snapshot.services.get(service).map(|one| one.upstream);
    let (upstream, only) = match choice {
        None if forward.split.is_empty() => (of(forward.service), None),
        None => (split(exchange, generation, forward), None),
        Some(Choice::Service(service)) => (of(service), None),
        Some(Choice::Target { service, target }) => (of(service), Some(target)),
        Some(Choice::Address(address)) => {
            let group = exchange.worker.elsewhere(address, &snapshot.elsewhere);
            return Some((group, Wish::default()));
        }
    };
    let group = generation.groups.get(upstream?)?;
    let wish = match only {
        Some(only) => Wish {
            only: Some(only),
            ..Wish::default()
        },
        None => wish(exchange, snapshot, group),
    };
    Some((Rc::clone(group), wish))
}

/// What a request asks of the choice among the targets of a group: what a client's cookie says, and what a consistent hash
/// goes by.
fn wish(exchange: &Exchange, snapshot: &Snapshot, group: &Group) -> Wish {
    let balance = &group.upstream.balance;
    if balance.sticky.is_none() && balance.hash.is_empty() {
        return Wish::default();
    }
    let context = exchange.context.borrow();
    let before = balance.sticky.as_ref().and_then(|sticky| {
        let values = cookie(&context.request_headers, &sticky.cookie);
        values.filter_map(|value| group.names().find(value)).next()
    });
    let keys = balance.hash.iter();
    Wish {
        only: None,
        before,
        hash: keys.filter_map(|by| key(by, &context, snapshot)).next(),
    }
}

/// The hash of what a request has of this; none if it has nothing of the kind.
fn key(by: &HashBy, context: &Context, snapshot: &Snapshot) -> Option<u64> {
    let hashed = |bytes: &[u8]| (!bytes.is_empty()).then(|| hash(&[bytes]));
    match by {
        HashBy::Consumer => hashed(context.consumer.as_ref()?.as_bytes()),
        HashBy::Address => match context.client {
            IpAddr::V4(address) => hashed(&address.octets()),
            IpAddr::V6(address) => hashed(&address.octets()),
        },
        HashBy::Header(name) => hashed(context.request_headers.get(name)?.as_bytes()),
        HashBy::Cookie(name) => cookie(&context.request_headers, name).find_map(hashed),
        HashBy::Param(name) => {
            let value = context.params.get(&snapshot.table, context.path(), name);
            hashed(value?.as_bytes())
        }
    }
}

/// The values of a cookie, as it may be there twice.
fn cookie<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let cookies = cookies(headers).filter(move |(known, _)| *known == name.as_bytes());
    cookies.map(|(_, value)| value)
}

/// Makes a client come back to the target that answered it, where clients are kept and that is news to it.
pub(super) fn keep(exchange: &Exchange, group: &Group, wish: Wish, sent: &mut Sent) {
    let Some(sticky) = &group.upstream.balance.sticky else {
        return;
    };
    let at = group.target_of(&sent.lease.pool);
    // Where a plugin chose the target it will choose the next one as well.
    let Some(at) = at.filter(|at| wish.only.is_none() && wish.before != Some(*at)) else {
        return;
    };
    let secure = exchange.context.borrow().connection.scheme() == "https";
    if let Some(cookie) = group.names().cookie(at, sticky, secure) {
        sent.response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The upstream whose turn it is, of those that share the requests of a route.
fn split(exchange: &Exchange, generation: &Generation, forward: &Forward) -> Option<usize> {
    let route = exchange.matched.get()?.route;
    Shares::find(&generation.shares, route)?.next(forward)
}
