//! The account of a route, with a tally for each worker, which nobody else writes to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::metrics::cell::Writer;

/// Upper bounds of durations, in nanoseconds.
pub(super) const BOUNDS: [u64; 16] = [
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
    pub(super) route: Arc<str>,
    pub(super) service: Arc<str>,
    tallies: Box<[OnceLock<Box<Tally>>]>,
}

/// A tunnel that is open on one worker; dropping it counts its end.
#[derive(Debug)]
pub struct OpenTunnel {
    account: Arc<Account>,
    worker: usize,
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

    pub(super) fn read(&self) -> Reading {
        let mut reading = Reading::default();
        for tally in self.tallies.iter().filter_map(OnceLock::get) {
            tally.add_to(&mut reading);
        }
        reading
    }
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
pub(super) struct Reading {
    /// None is "other".
    pub(super) statuses: BTreeMap<Option<u16>, u64>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) nanoseconds: u128,
    /// Begun and ended.
    pub(super) tunnels: (u64, u64),
    pub(super) durations: [u64; BOUNDS.len() + 1],
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::metrics::route) fn entry(status: u16, micros: u64) -> Entry {
        Entry {
            status,
            duration: Duration::from_micros(micros),
            request_bytes: 1,
            response_bytes: 10,
        }
    }

    pub(in crate::metrics::route) fn name(text: &str) -> Arc<str> {
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
}
