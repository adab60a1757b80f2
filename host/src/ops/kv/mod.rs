//! The values that plugins keep for all workers and across swaps.
//!
//! One store for the process, in sixteen parts with a lock each; a key always lies in the same part. A part keeps its
//! share of the memory and lets go of what was not used for longest: approximately, by the second-chance algorithm
//! (CLOCK), which costs a use one flag instead of a list that every reader would have to reorder.
//!
//! Why our own: caches such as moka and quick_cache hand out whole values. Adding to a number in place and comparing
//! revisions would mean a read, an allocation and a write under a lock of ours around theirs.

mod shard;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(not(target_os = "linux"))]
use std::{sync::LazyLock, time::Instant};

use shard::{Shard, Spot};

use crate::config::ready::Kv;

/// Longest key, in bytes.
pub const KEY_BYTES: usize = 512;
/// Longest value, in bytes.
pub const VALUE_BYTES: usize = 1 << 20;

const SHARDS: usize = 16;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// There is no value, or it has expired.
    #[error("there is no such value")]
    NotFound,
    /// The value is not a number.
    #[error("the value is not a number")]
    NotANumber,
    /// Key, value or sum are beyond what the store takes.
    #[error("the key, the value or the sum is too large")]
    TooLarge,
    /// The revision is another one by now.
    #[error("somebody else changed the value first")]
    Conflict,
}

/// Tells milliseconds that never go back.
pub trait Clock: Send + Sync {
    /// Milliseconds since some moment.
    fn now_ms(&self) -> u64;
}

/// The clock of the system.
#[derive(Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    /// The clock that the kernel moves on with its timer: it lags by up to 10 ms, and reading it costs a tenth of the
    /// exact one, which would be half of what adding to a number costs.
    #[cfg(target_os = "linux")]
    fn now_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let ms = u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(ms)
    }

    #[cfg(not(target_os = "linux"))]
    fn now_ms(&self) -> u64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The values of all plugins.
pub struct Store<C = Monotonic> {
    shards: [Aligned; SHARDS],
    /// What one part may use.
    share: AtomicUsize,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    hashes: RandomState,
    clock: C,
}

/// A lock on cache lines of its own, so that parts never slow one another down.
#[derive(Default)]
#[repr(align(128))]
struct Aligned(Mutex<Shard>);

/// What one plugin keeps.
#[derive(Debug, Default)]
pub struct Account {
    /// Tells its keys from those of others.
    number: u32,
    bytes: AtomicI64,
    values: AtomicI64,
}

impl Account {
    /// Bytes of its keys and values, with what keeping them costs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// How many values there are.
    #[must_use]
    pub fn values(&self) -> u64 {
        u64::try_from(self.values.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl<C: Clock> Store<C> {
    /// An empty store that uses at most so many bytes.
    #[must_use]
    pub fn new(memory: u64, clock: C) -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Aligned::default()),
            share: AtomicUsize::new(share(memory)),
            accounts: Mutex::default(),
            hashes: RandomState::new(),
            clock,
        })
    }

    /// Changes how much memory it may use; what is beyond it goes at once.
    pub fn set_memory(&self, memory: u64) {
        let share = share(memory);
        self.share.store(share, Ordering::Relaxed);
        let now = self.clock.now_ms();
        for shard in &self.shards {
            lock(&shard.0).shrink_to(share, now);
        }
    }

    /// The values of one plugin.
    #[must_use]
    pub fn space(self: &Arc<Self>, plugin: &str) -> Space<C> {
        let mut accounts = lock(&self.accounts);
        let number = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
        let account = accounts.entry(plugin.to_owned()).or_insert_with(|| {
            Arc::new(Account {
                number,
                ..Account::default()
            })
        });
        Space {
            account: Arc::clone(account),
            store: Arc::clone(self),
        }
    }

    /// What each plugin that ever asked keeps, by its id.
    #[must_use]
    pub fn accounts(&self) -> Vec<(String, Arc<Account>)> {
        let accounts = lock(&self.accounts);
        accounts
            .iter()
            .map(|(id, account)| (id.clone(), Arc::clone(account)))
            .collect()
    }
}

/// The values of one plugin, whatever its version.
pub struct Space<C = Monotonic> {
    account: Arc<Account>,
    store: Arc<Store<C>>,
}

impl<C> std::fmt::Debug for Space<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Space({:?})", self.account)
    }
}

impl<C: Clock> Space<C> {
    /// Shows a value and its revision.
    ///
    /// # Errors
    /// There is none, or the key is too long.
    pub fn get<R>(&self, key: &[u8], show: impl FnOnce(&[u8], u64) -> R) -> Result<R, KvError> {
        self.at(key, |shard, spot, clock| {
            let found = shard.find(spot, || clock.now_ms());
            let entry = found.ok_or(KvError::NotFound)?;
            Ok(entry.value.show(|bytes| show(bytes, entry.revision)))
        })
    }

    /// Sets a value.
    ///
    /// # Errors
    /// Key or value are too long.
    pub fn set(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
        fits(value)?;
        self.at(key, |shard, spot, clock| {
            let share = self.store.share.load(Ordering::Relaxed);
            shard.put(spot, value, ttl_ms, share, clock.now_ms());
            Ok(())
        })
    }

    /// Adds to a number and answers the sum.
    ///
    /// # Errors
    /// The value is not a number, the sum does not fit, or the key is too long.
    pub fn add(&self, key: &[u8], delta: i64, ttl_ms: u64) -> Result<i64, KvError> {
        self.at(key, |shard, spot, clock| {
            if let Some(entry) = shard.find_mut(spot, || clock.now_ms()) {
                return entry.add(delta);
            }
            let share = self.store.share.load(Ordering::Relaxed);
            shard.put(spot, &delta.to_ne_bytes(), ttl_ms, share, clock.now_ms());
            Ok(delta)
        })
    }

    /// Sets a value if its revision is still this one; 0: if there is none.
    ///
    /// # Errors
    /// It is another one; or key or value are too long.
    pub fn compare_and_set(
        &self,
        key: &[u8],
        revision: u64,
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), KvError> {
        fits(value)?;
        self.at(key, |shard, spot, clock| {
            let now = clock.now_ms();
            let found = shard.find(spot, || now).map_or(0, |entry| entry.revision);
            if found != revision {
                return Err(KvError::Conflict);
            }
            let share = self.store.share.load(Ordering::Relaxed);
            shard.put(spot, value, ttl_ms, share, now);
            Ok(())
        })
    }

    /// Removes a value.
    ///
    /// # Errors
    /// The key is too long.
    pub fn remove(&self, key: &[u8]) -> Result<(), KvError> {
        self.at(key, |shard, spot, _| {
            shard.remove(spot);
            Ok(())
        })
    }

    /// What it keeps.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Runs `work` on the part in which a key lies.
    fn at<R>(
        &self,
        key: &[u8],
        work: impl FnOnce(&mut Shard, &Spot<'_>, &C) -> Result<R, KvError>,
    ) -> Result<R, KvError> {
        if key.len() > KEY_BYTES {
            return Err(KvError::TooLarge);
        }
        let store = &*self.store;
        // A keyed hash: keys often come from clients, who must not be able to make them collide.
        let mut hasher = store.hashes.build_hasher();
        hasher.write_u32(self.account.number);
        hasher.write(key);
        let hash = hasher.finish();
        // The table of a part uses the lowest and the highest bits.
        let index = usize::try_from(hash >> 40).unwrap_or(0) % SHARDS;
        let Some(shard) = store.shards.get(index) else {
            return Err(KvError::NotFound);
        };
        let spot = Spot {
            account: &self.account,
            key,
            hash,
        };
        work(&mut lock(&shard.0), &spot, &store.clock)
    }
}

fn share(memory: u64) -> usize {
    usize::try_from(memory.max(Kv::LEAST_MEMORY)).unwrap_or(usize::MAX) / SHARDS
}

fn fits(value: &[u8]) -> Result<(), KvError> {
    if value.len() > VALUE_BYTES {
        return Err(KvError::TooLarge);
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
