//! What happened on each route.
//!
//! A route has an account, and each worker a tally in it that nobody else writes to, made when the worker first serves the
//! route. At the end of an exchange that is a handful of loads and stores: no label, no look-up, no allocation, no lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::cell::Writer;
use super::names::{REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES, TUNNELS};
use super::page::{Family, Page};

/// Upper bounds of durations, in nanoseconds.
const BOUNDS: [u64; 16] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// How many different statuses a worker tells apart on one route; those that come later are "other".
const STATUSES: usize = 14;
/// Where the status stands in a slot; the count stands below.
const STATUS_SHIFT: u32 = 48;
const COUNT_MASK: u64 = (1 << STATUS_SHIFT) - 1;

/// The name under which routes stand that have no account of their own.
pub const OTHER: &str = "(other)";

/// What is counted when an exchange is over.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// From the parsed head to the end of the answer.
    pub duration: Duration,
    /// Body bytes that came.
    pub request_bytes: u64,
    /// Body bytes that went.
    pub response_bytes: u64,
}

/// The account of one route.
#[derive(Debug)]
pub struct Account {
    route: Arc<str>,
    service: Arc<str>,
    tallies: Box<[OnceLock<Box<Tally>>]>,
}

/// What one worker counted on one route. In cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tally {
    /// Status and count in one number; 0 is a free slot. Filled from the front.
    statuses: [AtomicU64; STATUSES],
    other: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    nanoseconds: AtomicU64,
    tunnels_begun: AtomicU64,
    tunnels_ended: AtomicU64,
    /// One more than there are bounds.
    durations: [AtomicU64; BOUNDS.len() + 1],
}

impl Account {
    /// An empty account.
    #[must_use]
    pub fn new(route: &Arc<str>, service: &Arc<str>, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            route: Arc::clone(route),
            service: Arc::clone(service),
            tallies: (0..workers).map(|_| OnceLock::new()).collect(),
        })
    }

    /// Counts an exchange that `worker` has served. Only that worker may say so.
    pub fn count(&self, worker: usize, entry: Entry) {
        if let Some(tally) = self.tally(worker) {
            tally.count(entry);
        }
    }

    fn tally(&self, worker: usize) -> Option<&Tally> {
        let tally = self.tallies.get(worker)?;
        Some(tally.get_or_init(Box::default))
    }

    fn read(&self) -> Reading {
        let mut reading = Reading::default();
        for tally in self.tallies.iter().filter_map(OnceLock::get) {
            tally.add_to(&mut reading);
        }
        reading
    }
}

/// A tunnel that is open on one worker; dropping it counts its end.
#[derive(Debug)]
pub struct OpenTunnel {
    account: Arc<Account>,
    worker: usize,
}

impl OpenTunnel {
    /// One begins, on this worker.
    #[must_use]
    pub fn begin(account: &Arc<Account>, worker: usize) -> Self {
        let open = Self {
            account: Arc::clone(account),
            worker,
        };
        open.count(|tally| &tally.tunnels_begun);
        open
    }

    fn count(&self, cell: impl Fn(&Tally) -> &AtomicU64) {
        if let Some(tally) = self.account.tally(self.worker) {
            Writer::Alone.add(cell(tally), 1);
        }
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.count(|tally| &tally.tunnels_ended);
    }
}

impl Tally {
    fn count(&self, entry: Entry) {
        const ALONE: Writer = Writer::Alone;
        let nanoseconds = u64::try_from(entry.duration.as_nanos()).unwrap_or(u64::MAX);
        ALONE.add(self.slot(entry.status), 1);
        ALONE.add(&self.nanoseconds, nanoseconds);
        let place = BOUNDS.iter().position(|bound| nanoseconds <= *bound);
        if let Some(duration) = self.durations.get(place.unwrap_or(BOUNDS.len())) {
            ALONE.add(duration, 1);
        }
        if entry.request_bytes > 0 {
            ALONE.add(&self.request_bytes, entry.request_bytes);
        }
        if entry.response_bytes > 0 {
            ALONE.add(&self.response_bytes, entry.response_bytes);
        }
    }

    /// Where a status is counted.
    fn slot(&self, status: u16) -> &AtomicU64 {
        // Even "no status" is not 0, which is a free slot.
        let mark = (u64::from(status) + 1) << STATUS_SHIFT;
        for slot in &self.statuses {
            let found = slot.load(Ordering::Relaxed);
            if found == 0 {
                slot.store(mark, Ordering::Relaxed);
                return slot;
            }
            if found & !COUNT_MASK == mark {
                return slot;
            }
        }
        &self.other
    }

    fn add_to(&self, reading: &mut Reading) {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        for slot in self.statuses.iter().map(load).filter(|slot| *slot != 0) {
            let status = u16::try_from((slot >> STATUS_SHIFT) - 1).unwrap_or(0);
            *reading.statuses.entry(Some(status)).or_default() += slot & COUNT_MASK;
        }
        let other = load(&self.other);
        if other > 0 {
            *reading.statuses.entry(None).or_default() += other;
        }
        // Ends are read first, so that one that comes in between makes the gauge too large and never negative.
        reading.tunnels.1 += load(&self.tunnels_ended);
        reading.tunnels.0 += load(&self.tunnels_begun);
        reading.request_bytes += load(&self.request_bytes);
        reading.response_bytes += load(&self.response_bytes);
        reading.nanoseconds += u128::from(load(&self.nanoseconds));
        for (sum, cell) in reading.durations.iter_mut().zip(&self.durations) {
            *sum += load(cell);
        }
    }
}

/// What a route stands at, over all workers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    /// None is "other".
    statuses: BTreeMap<Option<u16>, u64>,
    request_bytes: u64,
    response_bytes: u64,
    nanoseconds: u128,
    /// Begun and ended.
    tunnels: (u64, u64),
    durations: [u64; BOUNDS.len() + 1],
}

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
    use super::*;

    fn entry(status: u16, micros: u64) -> Entry {
        Entry {
            status,
            duration: Duration::from_micros(micros),
            request_bytes: 1,
            response_bytes: 10,
        }
    }

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    #[test]
    fn workers_add_up() {
        let account = Account::new(&name("r"), &name("s"), 2);
        account.count(0, entry(200, 400));
        account.count(1, entry(200, 500));
        account.count(1, entry(404, 70_000_000));
        account.count(7, entry(200, 1));
        let reading = account.read();
        assert_eq!(
            reading.statuses,
            BTreeMap::from([(Some(200), 2), (Some(404), 1)])
        );
        assert_eq!((reading.request_bytes, reading.response_bytes), (3, 30));
        assert_eq!(reading.durations[0], 2, "a bound belongs to its bucket");
        assert_eq!(reading.durations[BOUNDS.len()], 1);
        assert_eq!(reading.nanoseconds, 70_000_900_000);
    }

    #[test]
    fn a_worker_tells_so_many_statuses_apart_and_no_more() {
        let account = Account::new(&name("r"), &name("s"), 1);
        for status in (0..20).chain(0..20) {
            account.count(0, entry(status, 1));
        }
        let reading = account.read();
        assert_eq!(reading.statuses.len(), STATUSES + 1);
        assert_eq!(reading.statuses[&Some(0)], 2);
        assert_eq!(reading.statuses[&None], 12);
        assert_eq!(reading.statuses.values().sum::<u64>(), 40);
    }

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
