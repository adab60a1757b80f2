//! Accounts by what they are of, and when they go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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

impl<K: Ord, V> Shelved<K, V> {
    /// Drops the accounts that nobody else holds.
    fn forget_left(&mut self) {
        self.accounts
            .retain(|_, account| Arc::strong_count(account) > 1);
        self.look_at = UNLOOKED.max(self.accounts.len().saturating_mul(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
