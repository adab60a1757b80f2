//! More requests than the upstream can answer at once. `cargo xtask soak --overload` measures what a test cannot: time.

use swapgate_tests::bench::{BenchUpstream, load};
use swapgate_tests::process::anonymous_bytes;
use swapgate_tests::{Client, Gateway};

/// What the upstream can do at once.
const SLOTS: u64 = 20;

/// What the gateway's memory may grow by: its buffers for 200 connections, and what the allocator keeps.
const ROOM: u64 = 32 << 20;

/// Everybody asks again as soon as there is an answer, 200 at once: 20 are admitted, 20 wait, and the others are refused.
#[test]
fn what_is_too_much_is_refused() {
    let upstream = BenchUpstream::start(&["--slots", "20", "--work-us", "10000"]);
    let gateway = Gateway::with(
        "\
workers: 2
upstreams: [{name: slots, targets: [{address: \"@slots@\"}], concurrency: {requests: 20, queue: 20, wait: 60s}}]
services: [{name: s, upstream: slots}]
routes: [{name: all, service: s}]
",
    )
    .set("slots", upstream.address())
    .start();
    assert_eq!(gateway.get("/").status, 200);
    let before = anonymous_bytes(gateway.pid());

    let words = ["--connections", "200", "--seconds", "4", "--refusals"];
    let mut running = load(gateway.address(), &words);
    let (mut most, mut looks) = (0, 0);
    while running.ended().is_none() {
        for path in ["/healthz", "/status", "/metrics"] {
            assert_eq!(gateway.admin(path).status, 200, "{path} is answered");
        }
        most = most.max(anonymous_bytes(gateway.pid()));
        looks += 1;
    }
    let report = running.finish().success().json();
    assert!(looks > 1, "admin was asked while it was overloaded");
    assert_eq!(
        report["failures"], 0,
        "each is answered or refused well: {report}"
    );
    let count = |part: &serde_json::Value| part["requests"].as_u64().unwrap_or(0);
    let (answered, refused) = (count(&report), count(&report["refused"]));
    println!(
        "{answered} answered, {refused} refused, {} KiB more",
        most.saturating_sub(before) >> 10
    );
    assert!(answered > SLOTS && refused > 0, "{report}");
    assert!(most.saturating_sub(before) <= ROOM, "{} KiB", most >> 10);

    let seen = Client::connect(upstream.address()).get("/count").json();
    assert!(seen["most_inside"].as_u64() <= Some(SLOTS), "{seen}");
    assert_eq!(
        seen["seen"], seen["answered"],
        "nothing was begun in vain: {seen}"
    );
    assert!(seen["seen"].as_u64() >= Some(answered), "{seen}");

    // Every place is free again.
    gateway.wait_for_metric("swapgate_upstream_requests{upstream=\"slots\"}", 0.0);
    assert_eq!(gateway.get("/").status, 200);
}
