//! What all this is for: requests go to those who are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use swapgate_tests::{Load, Nginx, Received, Upstream};

use super::world::{SOON, before, series, target, wait_for_state};

/// Checks of a target are for `/healthz`, and `status` says what it answers.
fn watched(status: &Arc<AtomicU16>) -> Upstream {
    let status = Arc::clone(status);
    Upstream::answering(move |request| {
        let status = if request.target == "/healthz" {
            status.load(Ordering::SeqCst)
        } else {
            200
        };
        format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n").into_bytes()
    })
}

fn requests(upstream: &Upstream) -> usize {
    let is_request = |one: &Received| one.target != "/healthz";
    let received = upstream.take_requests();
    received.into_iter().filter(is_request).count()
}

#[test]
fn whoever_is_out_gets_nothing_unless_all_are() {
    let states = [(); 2].map(|()| Arc::new(AtomicU16::new(200)));
    let [one, two] = [watched(&states[0]), watched(&states[1])];
    let keys = format!("health: {{active: {{path: /healthz, {SOON}}}}}");
    let gateway = before(&keys, 2)
        .set("0", one.address())
        .set("1", two.address())
        .start();
    let ask = || {
        for _ in 0..20 {
            assert_eq!(gateway.get("/").status, 200);
        }
        (requests(&one), requests(&two))
    };
    let addresses = [one.address().to_string(), two.address().to_string()];
    assert_eq!(ask(), (10, 10));
    states[0].store(503, Ordering::SeqCst);
    wait_for_state(&gateway, &addresses[0], "down");
    assert_eq!(ask(), (0, 20));
    states[1].store(503, Ordering::SeqCst);
    wait_for_state(&gateway, &addresses[1], "down");
    assert_eq!(ask(), (10, 10), "better than nobody");
    states[0].store(200, Ordering::SeqCst);
    wait_for_state(&gateway, &addresses[0], "up");
    assert_eq!(ask(), (20, 0));
}

/// The settings that docs/balancing.md recommends.
const RECOMMENDED: &str = "health: {
        active: {path: /healthz, interval: 1s, timeout: 1s, healthy: 2, unhealthy: 2},
        passive: {failures: 3, eject: 10s}}";
const WITHOUT_CHECKS: &str = "health: {passive: {failures: 3, eject: 1s, max_eject: 4s}}";
const WITHOUT_TRAFFIC: &str =
    "health: {active: {interval: 200ms, timeout: 200ms, unhealthy: 3, healthy: 2}}";

#[test]
fn a_target_that_is_killed_under_load_goes_and_comes_back() {
    for keys in [RECOMMENDED, WITHOUT_CHECKS, WITHOUT_TRAFFIC] {
        let block = "location / { return 200 $server_port; }";
        let (mut dies, stays) = (Nginx::server(block), Nginx::server(block));
        let gateway = before(keys, 2)
            .set("0", dies.address())
            .set("1", stays.address())
            .start();
        let address = dies.address().to_string();
        // What is under way at the target that dies may be lost: nobody asked for it to be sent again.
        let load = Load::start(
            gateway.address(),
            4,
            "GET / HTTP/1.1\r\nhost: test\r\n\r\n",
            |answer| match answer.status {
                200 | 502 => Ok(()),
                other => Err(format!("{other}")),
            },
        );
        load.wait_for_more(200);
        let killed = Instant::now();
        dies.kill();
        gateway.wait_for_metric(&series("swapgate_upstream_target_up", &address, ""), 0.0);
        let out = killed.elapsed();
        load.wait_for_more(200);
        dies.start_again();
        let started = Instant::now();
        wait_for_state(&gateway, &address, "up");
        let back = started.elapsed();
        let since = target(&gateway, &address).expect("it is there");
        assert_eq!(since["reason"], serde_json::Value::Null);
        println!("{keys}\nout after {out:?}, back after {back:?}");
        load.wait_for_more(200);
        let outcome = load.stop();
        assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    }
}
