//! A table from tags to states with a bounded number of places: open addressing, linear probing, no tombstones.
//!
//! It starts small and grows by doubling up to its bound, so an instance with few keys costs little and fits the cache.
//! Nothing is ever dropped that still says something: a hand goes round and takes out idle states, some places for each
//! new key, and where every state says something a new key gets no place.

/// What stands for a key; 0 is no key's.
pub(crate) type Tag = u128;

/// Places the hand looks at for each new key.
const SWEEP: usize = 16;
/// Places of a new table.
const FIRST: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Slot<S> {
    tag: Tag,
    state: S,
}

/// At most `bound` keys.
#[derive(Debug)]
pub(crate) struct Table<S> {
    slots: Vec<Slot<S>>,
    used: usize,
    bound: usize,
    hand: usize,
}

/// What a look for a key came to.
#[derive(Debug)]
pub(crate) struct Found<'t, S> {
    /// The state of the key, unless there is no place for it.
    pub(crate) state: Option<&'t mut S>,
    /// Whether it is new.
    pub(crate) added: bool,
    /// How many idle keys were dropped.
    pub(crate) dropped: u32,
}

impl<S: Copy + Default> Table<S> {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            slots: vec![Slot::default(); places(bound).min(FIRST)],
            used: 0,
            bound,
            hand: 0,
        }
    }

    /// The most bytes that many keys take. While a table grows, what it had before comes on top.
    pub(crate) fn bytes(bound: usize) -> usize {
        places(bound) * size_of::<Slot<S>>()
    }

    /// The bytes it takes now.
    #[cfg(test)]
    pub(crate) fn bytes_now(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<S>>()
    }

    /// How many keys have a place.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Every key that has a place.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Tag, &S)> {
        let taken = self.slots.iter().filter(|slot| slot.tag != 0);
        taken.map(|slot| (slot.tag, &slot.state))
    }

    /// The state of a key; where it has none, a place with `fresh` in it, if there is one.
    pub(crate) fn find_or_insert(
        &mut self,
        tag: Tag,
        fresh: S,
        is_idle: impl Fn(&S) -> bool,
    ) -> Found<'_, S> {
        let mut place = self.probe(tag);
        let (mut added, mut dropped) = (false, 0);
        if self.slots[place].tag != tag {
            dropped = self.sweep(is_idle);
            if self.used >= self.bound {
                return Found {
                    state: None,
                    added,
                    dropped,
                };
            }
            if (self.used + 1) * 4 > self.slots.len() * 3 && self.slots.len() < places(self.bound) {
                self.grow();
            }
            place = self.probe(tag);
            self.slots[place] = Slot { tag, state: fresh };
            self.used += 1;
            added = true;
        }
        Found {
            state: Some(&mut self.slots[place].state),
            added,
            dropped,
        }
    }

    /// Where this tag stands, or the empty place at which it would. There is always an empty one.
    fn probe(&self, tag: Tag) -> usize {
        let mut place = self.home(tag);
        while self.slots[place].tag != tag && self.slots[place].tag != 0 {
            place = self.next(place);
        }
        place
    }

    /// The upper half of the tag, scaled to the number of places; which part of a store a tag belongs to is in the lower.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product's upper half is below the number of places"
    )]
    fn home(&self, tag: Tag) -> usize {
        (((tag >> 64) * self.slots.len() as u128) >> 64) as usize
    }

    fn next(&self, place: usize) -> usize {
        if place + 1 == self.slots.len() {
            0
        } else {
            place + 1
        }
    }

    /// How far `to` lies behind `from`, going round.
    fn distance(&self, from: usize, to: usize) -> usize {
        (to + self.slots.len() - from) % self.slots.len()
    }

    /// Drops what is idle in the next places, and says how much that was.
    fn sweep(&mut self, is_idle: impl Fn(&S) -> bool) -> u32 {
        let mut dropped = 0;
        for _ in 0..SWEEP.min(self.slots.len()) {
            let slot = self.slots[self.hand];
            if slot.tag != 0 && is_idle(&slot.state) {
                // Another one may have moved here; it is looked at next.
                self.remove(self.hand);
                dropped += 1;
            } else {
                self.hand = self.next(self.hand);
            }
        }
        dropped
    }

    /// Empties a place and moves those behind it up, so that every tag is found from its home on.
    fn remove(&mut self, place: usize) {
        let (mut hole, mut at) = (place, place);
        loop {
            at = self.next(at);
            let slot = self.slots[at];
            if slot.tag == 0 {
                break;
            }
            let home = self.home(slot.tag);
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = Slot::default();
        self.used -= 1;
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).min(places(self.bound));
        let before = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        for slot in before.into_iter().filter(|slot| slot.tag != 0) {
            let place = self.probe(slot.tag);
            self.slots[place] = slot;
        }
        self.hand = 0;
    }
}

/// Three quarters are used at most, and one place is always empty.
fn places(bound: usize) -> usize {
    bound + bound / 3 + 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{Table, Tag};

    /// Few homes and many tags, so that probing wraps round and chains grow.
    fn tag(key: u8) -> Tag {
        let home = u128::from(key % 5) * (u128::MAX / 5);
        (home & !0xffff) | (u128::from(key) + 1)
    }

    proptest! {
        /// Equal to a map, except that idle entries may be gone; states are the time at which they become idle.
        #[test]
        fn it_is_a_map_of_what_is_not_idle(
            bound in 1usize..60,
            asked in proptest::collection::vec((any::<u8>(), 0u64..40, 0u64..3), 1..500),
        ) {
            let mut table = Table::new(bound);
            let mut model = HashMap::new();
            let mut now = 0;
            for (key, life, step) in asked {
                now += step;
                model.retain(|_, until| *until > now);
                let known = model.get(&key).copied();
                let before = table.used();
                let found = table.find_or_insert(tag(key), 0, |until| *until <= now);
                let (added, dropped) = (usize::from(found.added), found.dropped as usize);
                match found.state {
                    Some(until) => {
                        if let Some(known) = known {
                            prop_assert_eq!(*until, known);
                        } else {
                            prop_assert!(*until <= now, "nobody's state or an idle one");
                        }
                        *until = now + life;
                        model.insert(key, now + life);
                    }
                    None => {
                        prop_assert_eq!(known, None, "a known key keeps its place");
                        prop_assert!(table.used() == bound);
                    }
                }
                prop_assert_eq!(table.used(), before + added - dropped);
                prop_assert!(table.used() <= bound);
                prop_assert!(table.bytes_now() <= Table::<u64>::bytes(bound));
            }
            for (key, until) in &model {
                let found = table.find_or_insert(tag(*key), 0, |until| *until <= now);
                let found = found.state.copied();
                if *until > now {
                    prop_assert_eq!(found, Some(*until));
                }
            }
        }
    }

    #[test]
    fn idle_places_are_found_in_one_round_at_most() {
        let mut table = Table::new(1000);
        for key in 1..=1000u128 {
            let found = table.find_or_insert((key << 118) | key, 0u64, |_| false);
            assert!(found.added);
        }
        assert!(table.find_or_insert(5000, 0, |_| false).state.is_none());
        let tries = (0..1000).take_while(|key| {
            let found = table.find_or_insert(6000 + key, 0, |state| *state == 0);
            found.state.map(|state| *state = 1).is_some()
        });
        assert_eq!(tries.count(), 1000);
    }
}
