//! How many connections each client address has open, in the whole process.
//!
//! One look for each connection that begins and one for each that ends, in one of several parts, so that workers seldom meet. An
//! address is known as long as it has a connection, so there are never more of them than connections.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many parts there are.
const PARTS: usize = 16;
/// How long it is quiet about refused connections after one was told of.
const QUIET_MS: u64 = 10_000;

/// What counts as one address: of IPv6 the network of 64 bits, which is the least that one site gets (RFC 6177, 2), so that a
/// client has more than enough addresses in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    V4(u32),
    V6(u64),
}

impl Key {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let halves = [a, b, c, d].map(u64::from);
                Self::V6(halves.into_iter().fold(0, |all, half| (all << 16) | half))
            }
        }
    }
}

/// The open connections of each address.
#[derive(Debug, Default)]
pub struct Addresses {
    parts: [Mutex<HashMap<Key, usize>>; PARTS],
    /// Drawn at the start, so that nobody can choose addresses that meet in one part.
    seed: RandomState,
    refused: AtomicU64,
    told: AtomicU64,
    told_of: AtomicU64,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub struct Counted {
    addresses: Arc<Addresses>,
    key: Key,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut part = self.addresses.part(self.key);
        if let Some(count) = part.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                part.remove(&self.key);
                // What a crowd needed is given back once it is gone.
                if part.capacity() > 64 && part.len() < part.capacity() / 8 {
                    part.shrink_to_fit();
                }
            }
        }
    }
}

impl Addresses {
    /// Counts a connection of this address; none: it has as many as it may.
    #[must_use]
    pub fn begin(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<Counted> {
        let key = Key::of(address);
        let mut part = self.part(key);
        let count = part.entry(key).or_default();
        if *count >= limit.max(1) {
            return None;
        }
        *count += 1;
        drop(part);
        Some(Counted {
            addresses: Arc::clone(self),
            key,
        })
    }

    /// Notes that a connection was refused; how many were since it was last told, if it is time to tell.
    pub fn refuses(&self, now_ms: u64) -> Option<u64> {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let told = self.told.load(Ordering::Relaxed);
        if told != 0 && now_ms.saturating_sub(told) < QUIET_MS {
            return None;
        }
        let mine =
            self.told
                .compare_exchange(told, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed);
        mine.is_ok()
            .then(|| refused.saturating_sub(self.told_of.swap(refused, Ordering::Relaxed)))
    }

    fn part(&self, key: Key) -> std::sync::MutexGuard<'_, HashMap<Key, usize>> {
        let parts = u64::try_from(PARTS).unwrap_or(1);
        let at = usize::try_from(self.seed.hash_one(key) % parts).unwrap_or_default();
        let [first, ..] = &self.parts;
        let part = self.parts.get(at).unwrap_or(first);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(addresses: &Addresses) -> usize {
        let parts = addresses.parts.iter();
        parts.map(|part| part.lock().unwrap().len()).sum()
    }

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let addresses = Arc::new(Addresses::default());
        let first = addresses.begin(one.parse().unwrap(), 1);
        assert!(first.is_some());
        let second = addresses.begin(other.parse().unwrap(), 1);
        assert_eq!(second.is_none(), same, "{one} {other}");
        drop((first, second));
        assert_eq!(known(&addresses), 0, "nobody is remembered who left");
    }

    #[test]
    fn what_counts_as_one_address() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
    }

    #[test]
    fn exact_whoever_counts() {
        let addresses = Arc::new(Addresses::default());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let addresses = Arc::clone(&addresses);
                std::thread::spawn(move || {
                    let held: Vec<_> = (0..100)
                        .filter_map(|_| addresses.begin(address, 150))
                        .collect();
                    held
                })
            })
            .collect();
        let held: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(held.len(), 150);
        drop(held);
        assert_eq!(known(&addresses), 0);
    }

    #[test]
    fn refusals_are_told_of_now_and_then() {
        let addresses = Addresses::default();
        let told: Vec<_> = [5, 6, 9_000, 10_006, 10_007]
            .into_iter()
            .map(|now| addresses.refuses(now))
            .collect();
        assert_eq!(told, [Some(1), None, None, Some(3), None]);
    }
}
