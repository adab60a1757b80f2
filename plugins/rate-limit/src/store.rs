//! All counters of an instance, shared by all workers: a number of tables, each behind a lock of its own.
//!
//! A lock, not a compare-and-swap on each counter: it is held for some tens of nanoseconds, makes every rule exact
//! whatever its state looks like, and lets a table take out what is idle. Which table a key is in depends on its tag, so
//! two workers meet only over the same key, or once in a while by chance.
//!
//! Where a table is full of keys that are all active, a new key shares one of a few spare counters with other new keys. So
//! nobody passes unlimited, and nobody's counter is lost: whoever floods the store with made-up keys limits those
//! newcomers he shares with, and no key that was there before. A key that gets a place later begins with what its spare
//! counter says, for part of that may have been its own.

use std::sync::{Mutex, PoisonError};

use crate::rule::{Rule, Verdict};
use crate::state::{Reader, put};
use crate::table::{Table, Tag};

/// The most tables; more than processors, so that they rarely meet.
const MOST_TABLES: usize = 64;
/// A table for fewer keys than this would fill up by chance long before its neighbours.
const LEAST_KEYS: usize = 1024;
/// Spare counters of a table.
const SPARES: usize = 16;

/// The counters of an instance under one rule.
#[derive(Debug)]
pub struct Store<R: Rule> {
    rule: R,
    max_keys: usize,
    shards: Box<[Shard<R::State>]>,
}

/// Two cache lines, because processors fetch them in pairs: a lock must not slow down its neighbour.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<S>(Mutex<Inside<S>>);

impl<S> Shard<S> {
    fn inside(&mut self) -> &mut Inside<S> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Inside<S> {
    /// The latest moment seen here. Workers read the clock before they get the lock, so some come with an earlier one;
    /// if it counted, a bucket would seem to lack what it got in between.
    clock: u64,
    table: Table<S>,
    spares: [S; SPARES],
}

/// What became of a request, and of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What became of the request.
    pub verdict: Verdict,
    /// Whether the key had to share a spare counter.
    pub shared: bool,
    /// Whether it is new here and got a counter of its own.
    pub added: bool,
    /// How many other keys were dropped on the way, because their counters said nothing any more.
    pub dropped: u32,
}

impl<R: Rule> Store<R> {
    /// Room for at least `max_keys` keys, at least 1.
    #[must_use]
    pub fn new(rule: R, max_keys: usize) -> Self {
        let (tables, bound) = shape(max_keys);
        let shard = || {
            Shard(Mutex::new(Inside {
                clock: 0,
                table: Table::new(bound),
                spares: [R::State::default(); SPARES],
            }))
        };
        Self {
            rule,
            max_keys,
            shards: (0..tables).map(|_| shard()).collect(),
        }
    }

    /// The most bytes such a store takes.
    #[must_use]
    pub fn bytes(max_keys: usize) -> usize {
        let (tables, bound) = shape(max_keys);
        // A table that grows has its old places beside the new ones for a moment; they are half as many.
        tables * (size_of::<Shard<R::State>>() + Table::<R::State>::bytes(bound))
            + Table::<R::State>::bytes(bound)
    }

    /// Takes one request of the key behind `tag`, at `now` nanoseconds.
    #[must_use]
    pub fn take(&self, tag: Tag, now: u64) -> Taken {
        // No key is 0, which means "no key" in a table.
        let tag = tag.max(1);
        let (shard, spare) = self.place(tag);
        let mut inside = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Inside {
            clock,
            table,
            spares,
        } = &mut *inside;
        let now = now.max(*clock);
        *clock = now;
        let is_idle = |state: &R::State| self.rule.is_idle(state, now);
        let spare = &mut spares[spare];
        let found = table.find_or_insert(tag, *spare, is_idle);
        let (state, shared) = match found.state {
            Some(state) => (state, false),
            None => (spare, true),
        };
        Taken {
            verdict: self.rule.take(state, now),
            shared,
            added: found.added,
            dropped: found.dropped,
        }
    }

    /// Writes down every counter that says something at `now`, in the order of the tables.
    pub(crate) fn export(&self, now: u64, bytes: &mut Vec<u8>) {
        put(bytes, &(self.shards.len() as u64).to_le_bytes());
        for shard in &self.shards {
            let inside = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            for spare in &inside.spares {
                R::write(spare, bytes);
            }
            let active = |entry: &(Tag, &R::State)| !self.rule.is_idle(entry.1, now);
            let count = inside.table.entries().filter(active).count();
            put(bytes, &(count as u64).to_le_bytes());
            for (tag, state) in inside.table.entries().filter(active) {
                put(bytes, &tag.to_le_bytes());
                R::write(state, bytes);
            }
        }
    }

    /// Takes over what [`export`](Self::export) wrote at `now`, and says how many keys that are; none, and nothing is
    /// taken over, if it did not write that. Keys for which there is no room any more are left out, and so are spare
    /// counters where there is another number of tables: nobody could say whose they are.
    pub(crate) fn import(&mut self, now: u64, reader: &mut Reader<'_>) -> Option<usize> {
        let mut fresh = self.emptied();
        let tables = reader.u64()?;
        for table in 0..tables {
            for spare in 0..SPARES {
                let state = self.rule.read(reader, now)?;
                let at = usize::try_from(table).ok();
                if let Some(shard) = at.filter(|_| tables == fresh.shards.len() as u64)
                    && let Some(shard) = fresh.shards.get_mut(shard)
                {
                    shard.inside().spares[spare] = state;
                }
            }
            for _ in 0..reader.u64()? {
                let tag = reader.u128()?;
                let state = self.rule.read(reader, now)?;
                fresh.put(tag, state);
            }
        }
        if !reader.is_empty() {
            return None;
        }
        self.shards = fresh.shards;
        Some(self.keys())
    }

    /// How many keys have a counter.
    #[must_use]
    pub fn keys(&self) -> usize {
        let lock = |shard: &Shard<R::State>| {
            let inside = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            inside.table.used()
        };
        self.shards.iter().map(lock).sum()
    }

    /// The same rule and room, without a key.
    fn emptied(&self) -> Self {
        Self::new(self.rule, self.max_keys)
    }

    fn put(&mut self, tag: Tag, state: R::State) {
        let (shard, _) = self.place(tag.max(1));
        let mut inside = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = inside
            .table
            .find_or_insert(tag.max(1), state, |_| false)
            .state
        {
            *place = state;
        }
    }

    /// The table of a tag and its spare counter, both from the lower half of the tag.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both are remainders of small numbers"
    )]
    fn place(&self, tag: Tag) -> (&Shard<R::State>, usize) {
        let low = tag as u64;
        let spare = (low >> 32) % SPARES as u64;
        // The number of tables is a power of two.
        let shard = (low as usize) & (self.shards.len() - 1);
        (&self.shards[shard], spare as usize)
    }
}

/// How many tables, and how many keys each may hold: their fair share and six standard deviations more, so that none of
/// them is full before `max_keys` keys are there.
fn shape(max_keys: usize) -> (usize, usize) {
    let tables = (max_keys / LEAST_KEYS).clamp(1, MOST_TABLES);
    let tables = 1 << tables.ilog2();
    if tables == 1 {
        return (1, max_keys);
    }
    let share = max_keys / tables + 1;
    (tables, share + 6 * share.isqrt())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::Store;
    use crate::bucket::TokenBucket;
    use crate::rule::Rule;
    use crate::table::Tag;
    use crate::window::SlidingWindow;

    const HOUR: u64 = 3_600_000_000_000;

    /// Stands in for the keyed hash: every bit of the number moves every bit of the tag.
    fn tag(key: u64) -> Tag {
        let mix = |seed: u64| {
            let mut x = key.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x ^= x >> 32;
            x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
            x ^ x >> 29
        };
        u128::from(mix(1)) << 64 | u128::from(mix(2))
    }

    fn bytes_now<R: Rule>(store: &Store<R>) -> usize {
        let tables = store.shards.iter();
        tables
            .map(|shard| size_of_val(shard) + shard.0.lock().unwrap().table.bytes_now())
            .sum()
    }

    /// 64 threads ask for few keys as fast as they can: each key gets exactly its limit, none is starved by another.
    fn check_contention<R: Rule>(rule: R, limit: usize) {
        let (threads, keys, tries) = (64, 7, 700);
        let store = Store::new(rule, 100_000);
        let passed: Vec<_> = (0..keys).map(|_| AtomicUsize::new(0)).collect();
        let together = Barrier::new(threads);
        thread::scope(|scope| {
            for first in 0..threads {
                let (store, passed, together) = (&store, &passed, &together);
                scope.spawn(move || {
                    together.wait();
                    for key in (first..first + tries).map(|turn| turn % keys) {
                        // The clocks of threads differ a little.
                        if store
                            .take(tag(key as u64), 1000 + first as u64)
                            .verdict
                            .admitted
                        {
                            passed[key].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let passed: Vec<_> = passed
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert_eq!(passed, vec![limit; keys]);
        assert_eq!(store.keys(), keys);
    }

    #[test]
    fn exact_under_contention() {
        check_contention(TokenBucket::new(1000, HOUR, 1000), 1000);
        check_contention(SlidingWindow::new(1000, HOUR), 1000);
    }

    /// A million keys that are all active, in a store for fewer: bounded memory, and every key within its limit.
    fn check_flood<R: Rule>(rule: R, max_keys: usize) {
        let store = Store::new(rule, max_keys);
        let mut own = 0;
        for key in 0..1_000_000 {
            own += usize::from(!store.take(tag(key), key).shared);
        }
        assert!(own >= max_keys, "{own}");
        assert_eq!(store.keys(), own);
        assert!(bytes_now(&store) <= Store::<R>::bytes(max_keys));
        // Those that came first are still known: the limit is two, and they have had one.
        for key in 0..1000 {
            assert!(store.take(tag(key), HOUR / 2).verdict.admitted);
            assert!(!store.take(tag(key), HOUR / 2).verdict.admitted);
        }
        // When all are idle, newcomers get their places.
        for key in 2_000_000..2_000_000 + max_keys as u64 {
            let taken = store.take(tag(key), 5 * HOUR);
            assert!(taken.verdict.admitted && !taken.shared);
        }
    }

    #[test]
    fn a_million_keys_stay_within_the_memory() {
        check_flood(TokenBucket::new(2, 2 * HOUR, 2), 100_000);
        check_flood(SlidingWindow::new(2, 2 * HOUR), 50_000);
        assert!(Store::<TokenBucket>::bytes(100_000) < 6_000_000);
        assert!(Store::<SlidingWindow>::bytes(100_000) < 11_000_000);
        assert!(Store::<TokenBucket>::bytes(1_000_000) < 48_000_000);
    }

    #[test]
    fn newcomers_of_a_full_store_share_and_take_their_count_along() {
        let store = Store::new(TokenBucket::new(4, HOUR, 4), 1);
        assert!(!store.take(1 << 64, 0).shared);
        let newcomer = 2 << 64;
        let first = store.take(newcomer, 0);
        assert!(first.shared && first.verdict.admitted);
        assert_eq!(
            store.take(3 << 64, 0).verdict.remaining,
            2,
            "one spare counter for both"
        );
        // The first key is idle after a quarter; the newcomer gets its place, with the half hour it still owes.
        let later = store.take(newcomer, HOUR / 4);
        assert!(!later.shared);
        assert_eq!(later.verdict.remaining, 2);
    }

    #[test]
    fn the_smallest_store_works() {
        let store = Store::new(SlidingWindow::new(1, HOUR), 1);
        assert!(store.take(0, 0).verdict.admitted);
        assert!(!store.take(0, 0).verdict.admitted);
    }
}
