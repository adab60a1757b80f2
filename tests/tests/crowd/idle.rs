//! Connections that asked once and are kept alive.

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
