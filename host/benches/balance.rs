//! What choosing a target costs: each algorithm among 3 and among 100 targets.
//!
//! All targets are in rotation, measured and idle, which is the usual case; each has a record of its own in memory, as in
//! the gateway. Run with `cargo bench -p swapgate --bench balance`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use swapgate::config::ready::Algorithm;
use swapgate::metrics::retries::Retried;
use swapgate::metrics::traffic::{Attempts, Connections};
use swapgate::snapshot::{Target, TargetAccount, Upstream};
use swapgate::upstream::balance::{Ring, Tried, Wish};
use swapgate::upstream::group::Group;
use swapgate::upstream::manner::Destination;
use swapgate::upstream::pool::Pool;

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("round-robin", Algorithm::RoundRobin),
    ("least-requests", Algorithm::LeastRequests),
    ("p2c-ewma", Algorithm::P2cEwma),
    ("consistent-hash", Algorithm::ConsistentHash),
    ("random", Algorithm::Random),
];

fn address(number: usize) -> SocketAddr {
    let number = u8::try_from(number).expect("few targets");
    SocketAddr::from(([10, 0, 0, number], 80))
}

fn group(algorithm: Algorithm, count: usize, slow_start: bool) -> Group {
    let account = TargetAccount {
        health: Arc::default(),
        attempts: Arc::new(Attempts::new(1)),
        retried: Arc::new(Retried::new(1)),
        connections: Arc::new(Connections::new(1)),
    };
    let target = |number| Target {
        address: address(number).into(),
        name: None,
        weight: 1,
        priority: 0,
        account: TargetAccount {
            health: Arc::default(),
            ..account.clone()
        },
    };
    let mut upstream = Upstream::alone(address(0).into(), account.clone());
    let changed = Arc::get_mut(&mut upstream).expect("nobody else has it");
    changed.balance.algorithm = algorithm;
    changed.balance.slow_start = slow_start.then_some(Duration::from_secs(30));
    changed.targets = (0..count).map(target).collect();
    changed.ring = Ring::of(&changed.balance, &changed.targets);
    let pool = |number| {
        let to = Destination::plain(address(number).into());
        Pool::new(to, &account.connections)
    };
    let group = Group::new(upstream, (0..count).map(pool).collect(), None);
    for at in 0..count {
        group.attempt(at).answered(true);
    }
    group
}

fn picks(criterion: &mut Criterion) {
    let tried = Tried::default();
    let mut measure = |name: &str, group: &Group| {
        let mut key = 0_u64;
        criterion.bench_function(name, |bench| {
            bench.iter(|| {
                key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let wish = Wish {
                    hash: Some(key),
                    ..Wish::default()
                };
                black_box(group.pick(wish, &tried))
            });
        });
    };
    measure("one target", &group(Algorithm::RoundRobin, 1, false));
    for count in [3, 100] {
        for (name, algorithm) in ALGORITHMS {
            let group = group(algorithm, count, false);
            measure(&format!("{name}, {count} targets"), &group);
        }
    }
    let slow = group(Algorithm::RoundRobin, 3, true);
    measure("round-robin, 3 targets, slow start that is over", &slow);
    criterion.bench_function("a clock", |bench| bench.iter(|| black_box(Instant::now())));
}

criterion_group!(benches, picks);
criterion_main!(benches);
