//! One part of the store: a table, the values it leads to, and the hand that goes round them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashTable;

use super::{Account, KvError};

/// What keeping one value costs beside the bytes of key and value: its record, its place in the table, and what the
/// allocator adds to two blocks. An estimate on the safe side.
const OVERHEAD: usize = 160;
/// How many values the hand looks at for every new one, to take out what has expired.
const LOOKS: usize = 2;
/// From how many places on empty ones are worth the work of moving the others together.
const SPARSE: usize = 256;

/// Where a key lies.
pub(super) struct Spot<'a> {
    pub(super) account: &'a Arc<Account>,
    pub(super) key: &'a [u8],
    pub(super) hash: u64,
}

/// A value.
pub(super) enum Value {
    /// Eight bytes, in the order of the machine.
    Number(i64),
    Bytes(Box<[u8]>),
}

impl Value {
    fn of(bytes: &[u8]) -> Self {
        // What get() shows of a number can be set again, so eight bytes are a number.
        match bytes.try_into() {
            Ok(eight) => Self::Number(i64::from_ne_bytes(eight)),
            Err(_) => Self::Bytes(bytes.into()),
        }
    }

    pub(super) fn show<R>(&self, show: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Number(number) => show(&number.to_ne_bytes()),
            Self::Bytes(bytes) => show(bytes),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Number(_) => size_of::<i64>(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// A key and its value.
pub(super) struct Entry {
    account: Arc<Account>,
    hash: u64,
    key: Box<[u8]>,
    pub(super) value: Value,
    pub(super) revision: u64,
    /// When it ends; 0: never.
    ends_ms: u64,
    /// Used since the hand came by.
    used: bool,
}

impl Entry {
    fn is(&self, spot: &Spot<'_>) -> bool {
        self.hash == spot.hash && *self.key == *spot.key && Arc::ptr_eq(&self.account, spot.account)
    }

    fn is_over(&self, now: impl FnOnce() -> u64) -> bool {
        self.ends_ms != 0 && self.ends_ms <= now()
    }

    fn bytes(&self) -> usize {
        OVERHEAD + self.key.len() + self.value.len()
    }

    /// Adds to a number.
    fn add(&mut self, delta: i64) -> Result<i64, KvError> {
        let Value::Number(number) = &mut self.value else {
            return Err(KvError::NotANumber);
        };
        *number = number.checked_add(delta).ok_or(KvError::TooLarge)?;
        Ok(*number)
    }
}

/// One part of the store.
#[derive(Default)]
pub(super) struct Shard {
    /// Hash to index into `entries`.
    table: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// The next one the hand looks at.
    hand: usize,
    bytes: usize,
    /// The last revision given out in this part. A key never changes its part, so it never sees one twice.
    revision: u64,
}

/// A number that was found, with the revision it gets when it changes.
pub(super) struct Changing<'a> {
    entry: &'a mut Entry,
    revision: &'a mut u64,
}

impl Changing<'_> {
    /// Adds to a number and answers the sum.
    pub(super) fn add(self, delta: i64) -> Result<i64, KvError> {
        let sum = self.entry.add(delta)?;
        *self.revision += 1;
        self.entry.revision = *self.revision;
        Ok(sum)
    }
}

impl Shard {
    /// The value at a spot; one that has expired goes.
    pub(super) fn find(&mut self, spot: &Spot<'_>, now: impl FnOnce() -> u64) -> Option<&Entry> {
        self.find_mut(spot, now).map(|found| &*found.entry)
    }

    /// The value at a spot, to be changed; one that has expired goes.
    pub(super) fn find_mut(
        &mut self,
        spot: &Spot<'_>,
        now: impl FnOnce() -> u64,
    ) -> Option<Changing<'_>> {
        let index = self.index(spot)?;
        let over = self.entry(index).is_none_or(|entry| entry.is_over(now));
        if over {
            self.take_out(index);
            return None;
        }
        let entry = self.entries.get_mut(index as usize)?.as_mut()?;
        entry.used = true;
        Some(Changing {
            entry,
            revision: &mut self.revision,
        })
    }

    /// Sets a value, then lets go of others until the part is within its share again.
    pub(super) fn put(
        &mut self,
        spot: &Spot<'_>,
        value: &[u8],
        ttl_ms: u64,
        share: usize,
        now: u64,
    ) {
        self.revision += 1;
        let entry = Entry {
            account: Arc::clone(spot.account),
            hash: spot.hash,
            key: spot.key.into(),
            value: Value::of(value),
            revision: self.revision,
            ends_ms: if ttl_ms == 0 {
                0
            } else {
                now.saturating_add(ttl_ms).max(1)
            },
            used: true,
        };
        if let Some(index) = self.index(spot) {
            self.take_out(index);
        } else {
            self.look_for_expired(now);
        }
        // Room first, so that the newcomer is never the one that has to go.
        self.shrink_to(share.saturating_sub(entry.bytes()), now);
        self.insert(entry);
    }

    pub(super) fn remove(&mut self, spot: &Spot<'_>) {
        if let Some(index) = self.index(spot) {
            self.take_out(index);
        }
    }

    /// Lets go of what was not used for longest until no more than so many bytes are left.
    pub(super) fn shrink_to(&mut self, bytes: usize, now: u64) {
        while self.bytes > bytes {
            let Some(index) = self.turn() else {
                return;
            };
            let Some(entry) = self
                .entries
                .get_mut(index as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            // A second chance for what was used since the last time; whole turns end, for every look takes one away.
            if entry.used && !entry.is_over(|| now) {
                entry.used = false;
            } else {
                self.take_out(index);
            }
        }
    }

    fn look_for_expired(&mut self, now: u64) {
        for _ in 0..LOOKS {
            let Some(index) = self.turn() else {
                return;
            };
            if self.entry(index).is_some_and(|entry| entry.is_over(|| now)) {
                self.take_out(index);
            }
        }
    }

    /// Moves the hand on; none if there is nothing to look at.
    fn turn(&mut self) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        if self.hand >= self.entries.len() {
            self.hand = 0;
        }
        let index = u32::try_from(self.hand).ok();
        self.hand += 1;
        index
    }

    fn index(&self, spot: &Spot<'_>) -> Option<u32> {
        let is = |index: &u32| self.entry(*index).is_some_and(|entry| entry.is(spot));
        self.table.find(spot.hash, is).copied()
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)?.as_ref()
    }

    fn insert(&mut self, entry: Entry) {
        let bytes = entry.bytes();
        count(&entry.account, 1, bytes);
        self.bytes += bytes;
        let hash = entry.hash;
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(place) = self.entries.get_mut(index as usize) {
                    *place = Some(entry);
                }
                index
            }
            None => {
                // Not beyond the numbers of 32 bits: that many values would need 640 GiB of this part.
                let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
                self.entries.push(Some(entry));
                index
            }
        };
        let entries = &self.entries;
        let rehash = |index: &u32| {
            let entry = entries.get(*index as usize).and_then(Option::as_ref);
            entry.map_or(0, |entry| entry.hash)
        };
        self.table.insert_unique(hash, index, rehash);
    }

    fn take_out(&mut self, index: u32) {
        let Some(entry) = self.entries.get_mut(index as usize).and_then(Option::take) else {
            return;
        };
        if let Ok(found) = self.table.find_entry(entry.hash, |other| *other == index) {
            found.remove();
        }
        self.free.push(index);
        let bytes = entry.bytes();
        self.bytes = self.bytes.saturating_sub(bytes);
        count(&entry.account, -1, bytes);
        if self.entries.len() > SPARSE && self.free.len() > self.entries.len() / 4 * 3 {
            self.compact();
        }
    }

    /// Moves the values together, because the hand looks at empty places as well. So rare that it costs each value that
    /// went no more than a step or two.
    #[cold]
    fn compact(&mut self) {
        // The hand goes on with the same value as before.
        let before = self.entries.iter().take(self.hand);
        self.hand = before.filter(|place| place.is_some()).count();
        self.entries.retain(Option::is_some);
        self.entries.shrink_to_fit();
        self.free = Vec::new();
        let entries = &self.entries;
        let hash = |index: &u32| {
            let entry = entries.get(*index as usize).and_then(Option::as_ref);
            entry.map_or(0, |entry| entry.hash)
        };
        let mut table = HashTable::with_capacity(entries.len());
        for index in (0..).take(entries.len()) {
            table.insert_unique(hash(&index), index, hash);
        }
        self.table = table;
    }
}

/// Counts a value that came (1) or went (-1).
fn count(account: &Account, sign: i64, bytes: usize) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    account.bytes.fetch_add(sign * bytes, Ordering::Relaxed);
    account.values.fetch_add(sign, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_with_the_values_that_left_them() {
        const COUNT: u32 = 10_000;
        let account = Arc::default();
        let mut shard = Shard::default();
        let keys: Vec<[u8; 4]> = (0..COUNT).map(u32::to_ne_bytes).collect();
        let spot = |number: u32| Spot {
            account: &account,
            key: &keys[number as usize],
            // Some share one.
            hash: u64::from(number / 2),
        };
        for number in 0..COUNT {
            shard.put(&spot(number), b"value", 0, usize::MAX, 0);
        }
        for number in (0..COUNT).filter(|number| !number.is_multiple_of(100)) {
            shard.remove(&spot(number));
        }
        assert!(shard.entries.len() <= 4 * 100 + SPARSE);
        assert_eq!(shard.entries.len() - shard.free.len(), 100);
        for number in 0..COUNT {
            let found = shard.find(&spot(number), || 0).is_some();
            assert_eq!(found, number.is_multiple_of(100), "{number}");
        }
        shard.put(&spot(1), b"again", 0, usize::MAX, 0);
        assert!(shard.find(&spot(1), || 0).is_some());
        // Whoever lets go of nearly all of them gets along with places that move meanwhile.
        shard.shrink_to(OVERHEAD, 0);
        assert!(shard.bytes <= OVERHEAD && shard.table.len() <= 1);
    }
}
