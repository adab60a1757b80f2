//! What the key-value store costs, in nanoseconds, on one thread and on two that use the same and different keys.
//!
//! A plain loop, like that of `accounts`: the question is whether adding stays below 100 ns uncontended. Run with
//! `cargo bench -p swapgate --bench kv`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use swapgate::config::ready::Kv;
use swapgate::ops::kv::{Monotonic, Store};

const ROUNDS: u32 = 9;
const TIMES: u32 = 1_000_000;

/// Nanoseconds of one `work`, the median of several rounds.
fn measure(name: &str, mut work: impl FnMut(u32)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..TIMES).for_each(&mut work);
            start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
    println!("{name:<44} {median:6.1} ns ({least:.1} to {most:.1})");
}

/// The same with a second thread that does it as well.
fn contended(name: &str, store: &Arc<Store>, keys: [&'static [u8]; 2]) {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let other = store.space("rate-limit");
        scope.spawn(|| {
            let other = other;
            while !stop.load(relaxed) {
                let _ = black_box(other.add(keys[1], 1, 60_000));
            }
        });
        let space = store.space("rate-limit");
        measure(name, |_| {
            let _ = black_box(space.add(keys[0], 1, 60_000));
        });
        stop.store(true, relaxed);
    });
}

fn main() {
    let store = Store::new(Kv::LEAST_MEMORY, Monotonic);
    let space = store.space("rate-limit");
    let keys: Vec<String> = (0..10_000)
        .map(|number| format!("client/10.0.{}.{}", number / 256, number % 256))
        .collect();
    let key = |number: u32| keys[number as usize % keys.len()].as_bytes();
    measure("add, one key, no TTL", |_| {
        let _ = black_box(space.add(b"client/plain", 1, 0));
    });
    measure("add, one key, TTL", |_| {
        let _ = black_box(space.add(b"client/192.168.100.200", 1, 60_000));
    });
    measure("add, 10,000 keys, TTL", |number| {
        let _ = black_box(space.add(key(number), 1, 60_000));
    });
    measure("get, 10,000 keys, TTL", |number| {
        let _ = black_box(space.get(key(number), |bytes, _| bytes.len()));
    });
    measure("set, 10,000 keys, 100 bytes, TTL", |number| {
        let _ = black_box(space.set(key(number), &[7; 100], 60_000));
    });
    contended("add, two threads, different keys", &store, [b"one", b"two"]);
    contended("add, two threads, the same key", &store, [b"one", b"one"]);
}
