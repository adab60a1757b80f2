//! Connections of clients and of upstreams, and attempts to get an answer.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::Cells;
use super::handshake::Handshakes;
use super::mirror::{self, Mirrored};
use super::names;
use super::page::{Family, Page};
use super::proxy;
use super::retries::Retried;
use super::tally::{Tally, labels};
use crate::endpoint::Endpoint;

/// Up to how many accounts a shelf keeps without looking whether somebody holds them.
const UNLOOKED: usize = 64;

/// Accounts by what they are of. One that nobody holds goes at the next scrape, after it was shown for the last time, or
/// when there are twice as many accounts as were held before.
#[derive(Debug)]
pub struct Shelf<K, V>(Mutex<Shelved<K, V>>);

#[derive(Debug)]
struct Shelved<K, V> {
    accounts: BTreeMap<K, Arc<V>>,
    /// With how many accounts to look again who holds them.
    look_at: usize,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Shelved {
            accounts: BTreeMap::new(),
            look_at: UNLOOKED,
        }))
    }
}

impl<K: Ord, V> Shelved<K, V> {
    /// Drops the accounts that nobody else holds.
    fn forget_left(&mut self) {
        self.accounts
            .retain(|_, account| Arc::strong_count(account) > 1);
        self.look_at = UNLOOKED.max(self.accounts.len().saturating_mul(2));
    }
}

impl<K: Ord + Clone, V> Shelf<K, V> {
    /// The account of `key`: the one there is, or a new one.
    pub fn get(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.accounts.get(key) {
            return Arc::clone(account);
        }
        if known.accounts.len() >= known.look_at {
            // Without a scrape nothing else would end them.
            known.forget_left();
        }
        let account = Arc::new(make());
        known.accounts.insert(key.clone(), Arc::clone(&account));
        account
    }

    /// Each account that somebody else holds.
    pub fn held(&self, mut see: impl FnMut(&K, &Arc<V>)) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.accounts.iter();
        held.filter(|(_, account)| Arc::strong_count(account) > 1)
            .for_each(|(key, account)| see(key, account));
    }

    /// Each account, and those that nobody else holds for the last time.
    pub fn each(&self, mut show: impl FnMut(&K, &V)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = known.accounts.iter();
        accounts.for_each(|(key, account)| show(key, account));
        known.forget_left();
    }
}

/// Things that begin and end.
#[derive(Debug, Default)]
struct Comings {
    begun: AtomicU64,
    ended: AtomicU64,
    waits: AtomicU64,
    errors: AtomicU64,
    streams: AtomicU64,
    floods: AtomicU64,
    refused: AtomicU64,
}

/// Connections: of one listener, or to one target.
#[derive(Debug)]
pub struct Connections(Cells<Comings>);

/// One worker's hold on the account, so that a connection touches no reference count that workers share.
#[derive(Debug)]
pub struct Hold(Arc<Connections>);

/// A connection that is open; dropping it counts its end.
#[derive(Debug)]
pub struct Open(Rc<Hold>);

impl Hold {
    /// A hold for the running worker.
    #[must_use]
    pub fn new(account: Arc<Connections>) -> Rc<Self> {
        Rc::new(Self(account))
    }

    /// Counts a connection that begins.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Open {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.begun, 1);
        Open(Rc::clone(self))
    }

    /// Counts that there is no room for another one.
    pub fn waits(&self) {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.waits, 1);
    }

    /// Counts that the system gives none.
    pub fn fails(&self) {
        let (cell, writer) = self.0.0.mine();
        writer.add(&cell.errors, 1);
    }
}

impl Open {
    /// Counts a request that came on it in HTTP/2.
    pub fn has_stream(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.streams, 1);
    }

    /// Counts that it was closed because its address has as many as it may.
    pub fn is_refused(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.refused, 1);
    }

    /// Counts that it was ended because of a flood of frames.
    pub fn floods(&self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.floods, 1);
    }
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Cells::new(workers))
    }

    fn sum(&self, number: impl Fn(&Comings) -> &AtomicU64) -> u64 {
        let all = self
            .0
            .all()
            .map(|cell| number(cell).load(Ordering::Relaxed));
        all.fold(0, u64::wrapping_add)
    }

    fn open(&self) -> u64 {
        // Ends are read first, so that one that comes in between makes the gauge too large and never negative.
        let ended = self.sum(|cell| &cell.ended);
        self.sum(|cell| &cell.begun).saturating_sub(ended)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (cell, writer) = self.0.0.0.mine();
        writer.add(&cell.ended, 1);
    }
}

labels! {
    /// What an attempt to get an answer from a target came to.
    pub enum Attempt {
        /// The head of an answer came.
        Ok "ok",
        /// The target took no connection.
        ConnectError "connect_error",
        /// This system had no socket to give: nothing is known of the target.
        NoSocket "no_socket",
        /// It took one, and TLS came to nothing.
        TlsError "tls_error",
        /// It took none in time.
        ConnectTimeout "connect_timeout",
        /// No head of an answer came in time.
        Timeout "timeout",
        /// The connection ended before the answer.
        Closed "closed",
        /// A kept connection was dead, and another attempt followed.
        Stale "stale",
        /// What came is no answer that could be passed on.
        Malformed "malformed",
        /// The exchange ended before its answer came: the client left, or its body broke.
        Cancelled "cancelled",
    }
}

/// Attempts at one target of one upstream.
pub type Attempts = Tally<Attempt, { Attempt::COUNT }>;

/// An attempt that is running; dropping it before it came to anything counts it as cancelled.
#[derive(Debug)]
pub struct Attempting<'a>(Option<&'a Attempts>);

impl<'a> Attempting<'a> {
    /// One begins.
    #[must_use]
    pub fn new(attempts: Option<&'a Attempts>) -> Self {
        Self(attempts)
    }

    /// It goes on elsewhere, and is counted there.
    pub fn goes_on(mut self) {
        self.0 = None;
    }

    /// It came to this.
    pub fn came_to(mut self, outcome: Attempt) {
        if let Some(attempts) = self.0.take() {
            attempts.count(outcome);
        }
    }
}

impl Drop for Attempting<'_> {
    fn drop(&mut self) {
        if let Some(attempts) = self.0 {
            attempts.count(Attempt::Cancelled);
        }
    }
}

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
    use crate::metrics::tally::Label as _;

    #[test]
    fn what_is_open_is_what_began_and_did_not_end() {
        let account = Arc::new(Connections::new(1));
        let hold = Hold::new(Arc::clone(&account));
        let (one, two) = (hold.begin(), hold.begin());
        drop(one);
        assert_eq!((account.open(), account.sum(|cell| &cell.begun)), (1, 2));
        drop(two);
        assert_eq!(account.open(), 0);
    }

    #[test]
    fn every_outcome_has_its_cell() {
        let attempts = Attempts::new(0);
        for (outcome, _) in Attempt::ALL {
            attempts.count(*outcome);
            assert_eq!(attempts.read(*outcome), 1);
        }
        drop(Attempting::new(Some(&attempts)));
        assert_eq!(attempts.read(Attempt::Cancelled), 2);
        Attempting::new(Some(&attempts)).came_to(Attempt::Ok);
        assert_eq!(
            (
                attempts.read(Attempt::Ok),
                attempts.read(Attempt::Cancelled)
            ),
            (2, 2)
        );
    }

    #[test]
    fn accounts_nobody_holds_do_not_pile_up_without_a_scrape() {
        let shelf: Shelf<usize, ()> = Shelf::default();
        let held: Vec<_> = (0..100).map(|key| shelf.get(&key, || ())).collect();
        for key in 100..10_000 {
            drop(shelf.get(&key, || ()));
        }
        assert!(shelf.0.lock().unwrap().accounts.len() <= 2 * held.len() + UNLOOKED);
        for (key, account) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(account, &shelf.get(&key, || ())));
        }
    }

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
