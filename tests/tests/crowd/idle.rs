//! Connections that asked once and are kept alive.

use std::time::Duration;

use swapgate_tests::bench::Crowd;
use swapgate_tests::wait_until;

use crate::world::{World, sample};

/// More than there are; how the system spreads them over the workers is its own affair.
const SETTINGS: &str = "limits: {connections: 14000}\nclient_timeouts: {idle: 10m}";

/// What one that is idle may cost.
const EACH: u64 = 20 << 10;
/// The same with TLS: rustls keeps what it needs to go on and the client's certificates, and its buffers while it has something.
const EACH_WITH_TLS: u64 = 32 << 10;
/// The same in HTTP/2 with TLS: h2 keeps its buffers and its tables.
const EACH_OF_HTTP2: u64 = 80 << 10;

#[test]
fn ten_thousand_over_http1() {
    check("HTTP/1.1", 10_000, EACH, &[]);
}

#[test]
fn two_thousand_over_tls() {
    check("HTTP/1.1 with TLS", 2_000, EACH_WITH_TLS, &["--tls"]);
}

#[test]
fn two_thousand_over_http2() {
    check(
        "HTTP/2 with TLS",
        2_000,
        EACH_OF_HTTP2,
        &["--streams", "1", "--tls"],
    );
}

/// Set, it says how often requests are timed alone and beside a crowd, in turn, and whether those slow them down is judged.
/// A test run does it once, beside fewer, and judges nothing but that all are served.
const LONG: &str = "SWAPGATE_IDLE_ROUNDS";
/// What p50 and p99 beside a crowd may be of those alone, in the middle of all rounds, or so much more.
const RATIO: f64 = 1.5;
const MORE: Duration = Duration::from_micros(250);

#[test]
fn requests_beside_them_take_as_long_as_alone() {
    let rounds = std::env::var(LONG).ok().and_then(|text| text.parse().ok());
    let judged = rounds.is_some();
    let (rounds, count) = (rounds.unwrap_or(1), if judged { 10_000 } else { 1_000 });
    // Two gateways, so that both are asked in turn, at moments that are alike.
    let (quiet, world) = (World::with(SETTINGS), World::with(SETTINGS));
    let crowd = Crowd::start(world.gateway.address_of("public"), "idle", count, &[]);
    assert_eq!(crowd.held(), count, "all are connected and were answered");
    // What the connections of a test run cost once, all together, is more than so few of them may.
    wait_until("the connections to rest", || {
        !judged || world.grown() <= EACH * count as u64
    });
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(sample(&quiet.gateway));
        beside.push(sample(&world.gateway));
    }
    let report = crowd.finish();
    assert_eq!(report["gone"], 0, "nobody was sent away: {report}");
    let middle = |times: &[(Duration, Duration)], of: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<Duration> = times.iter().map(of).collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    for (name, of) in [
        (
            "p50",
            (|times| times.0) as fn(&(Duration, Duration)) -> Duration,
        ),
        ("p99", |times| times.1),
    ] {
        let (alone, beside) = (middle(&alone, of), middle(&beside, of));
        println!(
            "{name}: {alone:?} alone, {beside:?} beside {count} idle connections, {rounds} rounds"
        );
        assert!(
            !judged || beside <= (alone + MORE).max(alone.mul_f64(RATIO)),
            "{name} beside idle connections: {beside:?}, alone {alone:?}"
        );
    }
}

#[track_caller]
fn check(what: &str, count: usize, each: u64, words: &[&str]) {
    let world = World::with(SETTINGS);
    let alone = sample(&world.gateway);
    let mut words = words.to_vec();
    let mut target = world.gateway.address_of("public");
    if words.contains(&"--tls") {
        words.push(&world.certificate);
        target = world.gateway.address_of("secure");
    }
    let mut crowd = Crowd::start(target, "idle", count, &words);
    assert_eq!(crowd.held(), count, "all are connected and were answered");

    let settled = |when: &str| {
        wait_until(&format!("{count} idle connections to cost little"), || {
            world.grown() <= each * count as u64
        });
        let cost = world.grown() as f64 / count as f64 / 1024.0;
        println!("{what}: {count} idle connections, {cost:.1} KiB each {when}");
    };
    settled("at first");
    let beside = sample(&world.gateway);
    println!("{what}: a request takes (p50, p99) {alone:?} alone, {beside:?} beside them");
    assert_eq!(crowd.ask_again(), count, "each of them is still served");
    settled("after they asked again");

    let report = crowd.finish();
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["gone"], 0, "nobody was sent away: {report}");
    world.wait_until_gone();
}
