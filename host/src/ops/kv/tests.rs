use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Arc<Hand> {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn store() -> (Arc<Store<Arc<Hand>>>, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    (Store::new(Kv::LEAST_MEMORY, Arc::clone(&clock)), clock)
}

fn read<C: Clock>(space: &Space<C>, key: &[u8]) -> Option<(Vec<u8>, u64)> {
    space
        .get(key, |bytes, revision| (bytes.to_vec(), revision))
        .ok()
}

#[test]
fn versions_of_a_plugin_share_and_others_do_not() {
    let (store, _) = store();
    let (old, new, other) = (store.space("a"), store.space("a"), store.space("b"));
    old.set(b"key", b"value", 0).expect("fits");
    assert_eq!(
        read(&new, b"key").map(|found| found.0),
        Some(b"value".to_vec())
    );
    assert_eq!(read(&other, b"key"), None);
    assert_eq!(other.account().values(), 0);
    assert_eq!(new.account().values(), 1);
    drop((old, new));
    assert!(read(&store.space("a"), b"key").is_some());
}

#[test]
fn numbers_are_read_as_eight_bytes_and_can_be_set_as_such() {
    let (store, _) = store();
    let space = store.space("a");
    assert_eq!(space.add(b"n", 5, 0), Ok(5));
    assert_eq!(space.add(b"n", -7, 0), Ok(-2));
    let (bytes, _) = read(&space, b"n").expect("is there");
    assert_eq!(bytes, (-2_i64).to_ne_bytes());
    space.set(b"n", &i64::MAX.to_ne_bytes(), 0).expect("fits");
    assert_eq!(space.add(b"n", 1, 0), Err(KvError::TooLarge));
    space.set(b"n", b"text", 0).expect("fits");
    assert_eq!(space.add(b"n", 1, 0), Err(KvError::NotANumber));
}

#[test]
fn the_ttl_of_a_number_holds_from_the_first_add() {
    let (store, clock) = store();
    let space = store.space("a");
    assert_eq!(space.add(b"n", 1, 100), Ok(1));
    clock.0.store(60, Ordering::Relaxed);
    assert_eq!(space.add(b"n", 1, 100), Ok(2));
    clock.0.store(100, Ordering::Relaxed);
    assert_eq!(space.add(b"n", 1, 100), Ok(1));
}

#[test]
fn what_is_too_long_is_refused() {
    let (store, _) = store();
    let space = store.space("a");
    let (key, value) = (vec![0; KEY_BYTES + 1], vec![0; VALUE_BYTES + 1]);
    assert_eq!(space.set(&key, b"", 0), Err(KvError::TooLarge));
    assert_eq!(space.set(b"key", &value, 0), Err(KvError::TooLarge));
    assert_eq!(space.set(&key[1..], &value[1..], 0), Ok(()));
}

#[test]
fn what_was_not_used_goes_first_and_the_memory_stays_bounded() {
    let (store, _) = store();
    let (space, other) = (store.space("a"), store.space("b"));
    let value = vec![7; 10_000];
    for number in 0..20_000_u32 {
        space.set(&number.to_ne_bytes(), &value, 0).expect("fits");
        // One that is in use all the time must stay.
        other.add(b"hits", 1, 0).expect("a number");
        let bytes = space.account().bytes() + other.account().bytes();
        assert!(bytes <= Kv::LEAST_MEMORY, "{bytes} bytes");
    }
    let hits = other.add(b"hits", 0, 0);
    assert_eq!(hits, Ok(20_000));
    assert!(read(&space, &19_999_u32.to_ne_bytes()).is_some());
    assert!(read(&space, &0_u32.to_ne_bytes()).is_none());
}

#[test]
fn what_has_expired_goes_although_nobody_asks_for_it() {
    let (store, clock) = store();
    let space = store.space("a");
    for number in 0..1000_u32 {
        space.set(&number.to_ne_bytes(), b"", 10).expect("fits");
    }
    clock.0.store(10, Ordering::Relaxed);
    for number in 1000..3000_u32 {
        space.set(&number.to_ne_bytes(), b"", 0).expect("fits");
    }
    assert!(
        space.account().values() < 2100,
        "{}",
        space.account().values()
    );
}

#[test]
fn sums_of_many_threads_are_whole() {
    let store = Store::new(Kv::LEAST_MEMORY, Monotonic);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let space = store.space("a");
            scope.spawn(move || {
                for _ in 0..10_000 {
                    space.add(b"n", 1, 60_000).expect("a number");
                }
            });
        }
    });
    assert_eq!(store.space("a").add(b"n", 0, 0), Ok(40_000));
}

#[derive(Debug, Clone)]
enum Step {
    Get,
    Set(Vec<u8>, u64),
    Add(i64, u64),
    Swap(u8, Vec<u8>, u64),
    Remove,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = || {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..4),
            Just(vec![1; 8])
        ]
    };
    let ttl = || prop_oneof![Just(0_u64), 1..50_u64];
    prop_oneof![
        Just(Step::Get),
        (value(), ttl()).prop_map(|(value, ttl)| Step::Set(value, ttl)),
        (any::<i64>(), ttl()).prop_map(|(delta, ttl)| Step::Add(delta, ttl)),
        (0..3_u8, value(), ttl()).prop_map(|(which, value, ttl)| Step::Swap(which, value, ttl)),
        Just(Step::Remove),
        (0..40_u64).prop_map(Step::Wait),
    ]
}

/// The simplest thing that does the same.
#[derive(Default)]
struct Model {
    values: HashMap<(u8, u8), (Vec<u8>, u64)>,
    now: u64,
}

impl Model {
    fn get(&mut self, at: (u8, u8)) -> Option<Vec<u8>> {
        let now = self.now;
        self.values.retain(|_, (_, ends)| *ends == 0 || *ends > now);
        self.values.get(&at).map(|(value, _)| value.clone())
    }

    fn set(&mut self, at: (u8, u8), value: Vec<u8>, ttl: u64) {
        let ends = if ttl == 0 { 0 } else { self.now + ttl };
        self.values.insert(at, (value, ends));
    }

    fn add(&mut self, at: (u8, u8), delta: i64, ttl: u64) -> Result<i64, KvError> {
        let Some(value) = self.get(at) else {
            self.set(at, delta.to_ne_bytes().to_vec(), ttl);
            return Ok(delta);
        };
        let number = <[u8; 8]>::try_from(value).map_err(|_| KvError::NotANumber)?;
        let sum = i64::from_ne_bytes(number).checked_add(delta);
        let sum = sum.ok_or(KvError::TooLarge)?;
        if let Some((value, _)) = self.values.get_mut(&at) {
            *value = sum.to_ne_bytes().to_vec();
        }
        Ok(sum)
    }
}

proptest! {
    #[test]
    fn it_does_what_a_map_would(steps in proptest::collection::vec((0..2_u8, 0..3_u8, step()), 1..60)) {
        let (store, clock) = store();
        let spaces = [store.space("a"), store.space("b")];
        let mut model = Model::default();
        for (plugin, key, step) in steps {
            let (space, at) = (&spaces[plugin as usize], (plugin, key));
            match step {
                Step::Get => {
                    let found = read(space, &[key]);
                    prop_assert_eq!(found.map(|found| found.0), model.get(at));
                }
                Step::Set(value, ttl) => {
                    prop_assert_eq!(space.set(&[key], &value, ttl), Ok(()));
                    model.set(at, value, ttl);
                }
                Step::Add(delta, ttl) => {
                    prop_assert_eq!(space.add(&[key], delta, ttl), model.add(at, delta, ttl));
                }
                Step::Swap(which, value, ttl) => {
                    let now = read(space, &[key]).map_or(0, |found| found.1);
                    prop_assert_eq!(now != 0, model.get(at).is_some());
                    let revision = match which {
                        0 => now,
                        1 => 0,
                        _ => now + 1,
                    };
                    let swapped = space.compare_and_set(&[key], revision, &value, ttl);
                    prop_assert_eq!(swapped.is_ok(), revision == now);
                    if swapped.is_ok() {
                        let after = read(space, &[key]).expect("just set").1;
                        prop_assert!(after != 0 && after != now);
                        model.set(at, value, ttl);
                    }
                }
                Step::Remove => {
                    prop_assert_eq!(space.remove(&[key]), Ok(()));
                    model.values.remove(&at);
                }
                Step::Wait(ms) => {
                    model.now += ms;
                    clock.0.store(model.now, Ordering::Relaxed);
                }
            }
        }
    }
}
