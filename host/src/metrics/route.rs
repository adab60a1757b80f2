//! What happened on each route.
//!
//! A route has an account, and each worker a tally in it that nobody else writes to, made when the worker first serves the
//! route. At the end of an exchange that is a handful of loads and stores: no label, no look-up, no allocation, no lock.

mod account;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::account::BOUNDS;
pub use self::account::{Account, Entry, OpenTunnel};
use super::names::{REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES, TUNNELS};
use super::page::{Family, Page};
/// The name under which routes stand that have no account of their own.
pub const OTHER: &str = "(other)";

/// The accounts of all routes. Control asks it when it builds a snapshot; an account that no snapshot holds goes at the
/// next scrape, after it was shown for the last time, or when there would be more of them than the limit.
#[derive(Debug)]
pub struct Accounts {
    workers: usize,
    unrouted: Arc<Account>,
    other: Arc<Account>,
    routes: Mutex<Known>,
}

/// By the names of route and service.
type Known = BTreeMap<(Arc<str>, Arc<str>), Arc<Account>>;

impl Accounts {
    /// No routes yet.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let (none, other): (Arc<str>, Arc<str>) = (Arc::from(""), Arc::from(OTHER));
        Self {
            workers,
            unrouted: Account::new(&none, &none, workers),
            other: Account::new(&other, &other, workers),
            routes: Mutex::default(),
        }
    }

    /// The account of what no route matched.
    #[must_use]
    pub fn unrouted(&self) -> &Arc<Account> {
        &self.unrouted
    }

    /// The accounts of routes, each given by its name and the name of its service: of each its own while there are no more
    /// than `limit`, whoever had one keeps it, the rest share one. Routes that have left do not count.
    pub fn of<'a>(
        &self,
        routes: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
        limit: usize,
    ) -> Vec<Arc<Account>> {
        let keys: Vec<_> = routes
            .map(|(route, service)| (Arc::clone(route), Arc::clone(service)))
            .collect();
        let mut known = self.lock();
        if known.len() + keys.len() > limit {
            // Without a scrape nothing else would end them.
            forget_left(&mut known);
        }
        let mut keep = keys
            .iter()
            .filter(|key| known.contains_key(*key))
            .count()
            .min(limit);
        let mut free = limit - keep;
        keys.into_iter()
            .map(|key| {
                let found = known.get(&key);
                let room = if found.is_some() {
                    &mut keep
                } else {
                    &mut free
                };
                let Some(less) = room.checked_sub(1) else {
                    return Arc::clone(&self.other);
                };
                *room = less;
                if let Some(account) = found {
                    return Arc::clone(account);
                }
                let account = Account::new(&key.0, &key.1, self.workers);
                known.insert(key, Arc::clone(&account));
                account
            })
            .collect()
    }

    /// Shows what happened on each route.
    #[allow(
        clippy::cast_precision_loss,
        reason = "the format has no other numbers; exact up to 2^53"
    )]
    pub fn show(&self, page: &mut Page) {
        let mut requests = Family::of(&REQUESTS);
        let mut durations = Family::of(&REQUEST_DURATION);
        let mut request_bytes = Family::of(&REQUEST_BYTES);
        let mut response_bytes = Family::of(&RESPONSE_BYTES);
        let mut tunnels = Family::of(&TUNNELS);
        let mut known = self.lock();
        let shared = [&self.unrouted, &self.other];
        for account in shared.into_iter().chain(known.values()) {
            let reading = account.read();
            let (begun, ended) = reading.tunnels;
            if begun > 0 {
                let labels = [&*account.route, &*account.service];
                tunnels.count(&labels, begun.saturating_sub(ended));
            }
            if reading.statuses.is_empty() {
                continue;
            }
            let labels = [&*account.route, &*account.service];
            for (status, count) in &reading.statuses {
                let text = match status {
                    None => "other".to_owned(),
                    Some(0) => "none".to_owned(),
                    Some(status) => status.to_string(),
                };
                requests.count(&[labels[0], labels[1], &text], *count);
            }
            let mut count = 0;
            let mut cumulative = reading.durations.iter().map(|more| {
                count += more;
                count
            });
            let buckets: Vec<(f64, u64)> = BOUNDS
                .iter()
                .map(|bound| *bound as f64 / 1e9)
                .zip(cumulative.by_ref())
                .collect();
            let all = cumulative.next().unwrap_or(0);
            durations.observations(&labels, reading.nanoseconds as f64 / 1e9, all, &buckets);
            request_bytes.count(&labels, reading.request_bytes);
            response_bytes.count(&labels, reading.response_bytes);
        }
        forget_left(&mut known);
        drop(known);
        for family in [requests, durations, request_bytes, response_bytes, tunnels] {
            page.add(family);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the accounts that nobody else holds.
fn forget_left(known: &mut Known) {
    known.retain(|_, account| Arc::strong_count(account) > 1);
}

#[cfg(test)]
mod tests {
    use super::account::tests::{entry, name};
    use super::*;

    #[test]
    fn routes_keep_their_account_and_the_rest_share_one() {
        let accounts = Accounts::new(1);
        let (a, b, c, s) = (name("a"), name("b"), name("c"), name("s"));
        let first = accounts.of([(&a, &s), (&b, &s), (&c, &s)].into_iter(), 2);
        assert_eq!(&*first[2].route, OTHER);
        let again = accounts.of([(&c, &s), (&a, &s), (&b, &s)].into_iter(), 2);
        assert_eq!(&*again[0].route, OTHER, "a and b keep theirs");
        assert!(Arc::ptr_eq(&first[0], &again[1]));
        assert!(Arc::ptr_eq(&first[1], &again[2]));
        let lower = accounts.of([(&a, &s), (&b, &s)].into_iter(), 1);
        assert!(Arc::ptr_eq(&first[0], &lower[0]));
        assert_eq!(&*lower[1].route, OTHER);
        drop((again, lower));
        first[0].count(0, entry(200, 1));
        drop(first);
        let mut page = Page::default();
        accounts.show(&mut page);
        let last = page.text().unwrap();
        assert!(
            last.contains("swapgate_requests_total{route=\"a\",service=\"s\",status=\"200\"} 1"),
            "{last}"
        );
        let later = accounts.of([(&c, &s)].into_iter(), 2);
        assert_eq!(&*later[0].route, "c", "a is gone");
    }

    #[test]
    fn routes_that_have_left_count_for_nothing_and_do_not_pile_up() {
        let accounts = Accounts::new(0);
        let (stays, s) = (name("stays"), name("s"));
        let held = accounts.of([(&stays, &s)].into_iter(), 3);
        // Renamed again and again, and nobody scrapes.
        for number in 0..100 {
            let renamed = name(&format!("r{number}"));
            let now = accounts.of([(&renamed, &s), (&stays, &s)].into_iter(), 3);
            assert_eq!(now[0].route, renamed);
            assert!(Arc::ptr_eq(&held[0], &now[1]));
            assert!(accounts.lock().len() <= 3);
        }
        // Those an exchange still holds do not take room either.
        let (a, b) = (name("a"), name("b"));
        let old = accounts.of([(&a, &s)].into_iter(), 1);
        let new = accounts.of([(&b, &s)].into_iter(), 1);
        assert_eq!((&*old[0].route, &*new[0].route), ("a", "b"));
    }
}
