//! Connections of clients and of upstreams, and attempts to get an answer.

mod attempt;
mod connections;
mod shelf;

use std::sync::Arc;

pub use self::attempt::{Attempt, Attempting, Attempts};
pub use self::connections::{Connections, Hold, Open};
pub use self::shelf::Shelf;
use super::handshake::Handshakes;
use super::mirror::{self, Mirrored};
use super::names;
use super::page::{Family, Page};
use super::proxy;
use super::retries::Retried;
use crate::endpoint::Endpoint;

/// Every connection and every attempt.
#[derive(Debug, Default)]
pub struct Traffic {
    /// By the name of the listener.
    pub listeners: Shelf<Arc<str>, Connections>,
    /// By the name of the listener.
    pub handshakes: Shelf<Arc<str>, Handshakes>,
    /// By the name of the listener.
    pub proxies: Shelf<Arc<str>, proxy::Failures>,
    /// By the address of the target, whatever upstreams it belongs to: they share its connections.
    pub targets: Shelf<Endpoint, Connections>,
    /// By the name of the upstream and the address of the target.
    pub attempts: Shelf<(Arc<str>, Endpoint), Attempts>,
    /// By the name of the upstream.
    pub retried: Shelf<Arc<str>, Retried>,
    /// By the name of the upstream that gets the copies.
    pub mirrored: Shelf<Arc<str>, Mirrored>,
}

impl Traffic {
    /// Shows all of it.
    pub fn show(&self, page: &mut Page) {
        let mut open = Family::of(&names::CONNECTIONS);
        let mut accepted = Family::of(&names::ACCEPTED);
        let mut waits = Family::of(&names::ACCEPT_WAITS);
        let mut errors = Family::of(&names::ACCEPT_ERRORS);
        let mut streams = Family::of(&names::HTTP2_REQUESTS);
        let mut floods = Family::of(&names::HTTP2_FLOODS);
        let mut refused = Family::of(&names::CONNECTIONS_REFUSED);
        self.listeners.each(|name, connections| {
            open.count(&[name], connections.open());
            accepted.count(&[name], connections.sum(|cell| &cell.begun));
            waits.count(&[name], connections.sum(|cell| &cell.waits));
            errors.count(&[name], connections.sum(|cell| &cell.errors));
            streams.count(&[name], connections.sum(|cell| &cell.streams));
            floods.count(&[name], connections.sum(|cell| &cell.floods));
            refused.count(&[name], connections.sum(|cell| &cell.refused));
        });
        let mut unproxied = proxy::Failures::family();
        self.proxies
            .each(|name, failures| failures.show(name, &mut unproxied));
        let (mut done, mut failed) = Handshakes::families();
        self.handshakes
            .each(|name, handshakes| handshakes.show(name, (&mut done, &mut failed)));
        let mut attempts = Family::of(&names::ATTEMPTS);
        self.attempts.each(|(upstream, target), account| {
            let target = target.to_string();
            for (outcome, name, count) in account.each() {
                // The good outcome is there from the beginning, so that a rate has something to begin with.
                if count > 0 || outcome == Attempt::Ok {
                    attempts.count(&[upstream, &target, name], count);
                }
            }
        });
        let (mut again, mut denied) = Retried::families();
        self.retried
            .each(|upstream, retried| retried.show(upstream, (&mut again, &mut denied)));
        let mut held = Family::of(&names::UPSTREAM_CONNECTIONS);
        let mut connects = Family::of(&names::UPSTREAM_CONNECTS);
        self.targets.each(|target, connections| {
            let target = target.to_string();
            held.count(&[&target], connections.open());
            connects.count(&[&target], connections.sum(|cell| &cell.begun));
        });
        let mut mirrored = mirror::family();
        self.mirrored
            .each(|upstream, account| mirror::show(account, upstream, &mut mirrored));
        let families = [
            open, accepted, waits, errors, refused, unproxied, done, failed, streams, floods,
            attempts, again, denied, held, connects, mirrored,
        ];
        for family in families {
            page.add(family);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_nobody_holds_is_shown_once_more() {
        let traffic = Traffic::default();
        let name: Arc<str> = Arc::from("public");
        drop(traffic.listeners.get(&name, || Connections::new(0)));
        for expected in [true, false] {
            let mut page = Page::default();
            traffic.show(&mut page);
            assert_eq!(page.text().unwrap().contains("public"), expected);
        }
    }
}
