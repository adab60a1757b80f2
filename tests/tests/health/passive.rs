//! Targets whose requests fail one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use swapgate_tests::proxy::Place;
use swapgate_tests::unreachable::Refusing;
use swapgate_tests::{Client, Fault, Gateway, Nginx, Proxy, Upstream};

use super::world::{SOON, before, series, target, wait_for_state};

/// For how long, in milliseconds.
fn length(ejected: &Value) -> u64 {
    let at = |key: &str| {
        ejected[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key}: {ejected}"))
    };
    at("until_unix_ms") - at("since_unix_ms")
}

/// Asks until the target is in this state.
#[track_caller]
fn ask_until(gateway: &Gateway, address: &str, state: &str) -> Value {
    swapgate_tests::wait_for(&format!("requests to make {address} {state}"), || {
        let _ = gateway.get("/");
        target(gateway, address).filter(|one| one["state"] == state)
    })
}

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

#[test]
fn failures_eject_and_time_brings_back_each_time_later() {
    let behind = Upstream::fixed(answer(200));
    let proxy = Proxy::before(behind.address());
    proxy.set(Fault::Refuse);
    let keys = "health: {passive: {failures: 3, eject: 500ms, max_eject: 1h}}";
    let gateway = before(keys, 1).set("0", proxy.address()).start();
    let address = proxy.address().to_string();
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 502);
    }
    assert_eq!(target(&gateway, &address).expect("there")["state"], "up");
    assert_eq!(gateway.get("/").status, 502);
    let first = wait_for_state(&gateway, &address, "ejected");
    assert_eq!(length(&first), 500);
    assert_eq!(
        first["reason"],
        "3 requests in a row failed, the last one: it took no connection"
    );
    assert_eq!(gateway.admin("/readyz").status, 200);
    gateway.wait_for_log(&format!(
        "target {address} of upstream up is out of rotation: ejected for 500ms: 3 requests"
    ));
    // Nobody asks, and still it comes back.
    wait_for_state(&gateway, &address, "up");
    gateway.wait_for_metric(&series("swapgate_upstream_target_up", &address, ""), 1.0);
    gateway.wait_for_log(&format!(
        "target {address} of upstream up is back in rotation: it was ejected for"
    ));
    // It has nothing to its credit yet: the first failure ejects it.
    assert_eq!(gateway.get("/").status, 502);
    let second = target(&gateway, &address).expect("there");
    if second["state"] == "ejected" {
        // It may have served well for long enough, on a machine that is busy; else it is out for longer.
        assert!(matches!(length(&second), 500 | 1000), "{second}");
    }
    gateway.wait_for_metric(
        &series("swapgate_upstream_ejections_total", &address, ""),
        2.0,
    );
    assert_eq!(
        gateway
            .metrics()
            .value(&series("swapgate_upstream_target_up", &address, "")),
        Some(0.0)
    );

    proxy.set(Fault::Pass);
    wait_for_state(&gateway, &address, "up");
    assert_eq!(gateway.get("/").status, 200);
    proxy.set(Fault::Refuse);
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 502);
    }
    assert_eq!(
        target(&gateway, &address).expect("there")["state"],
        "up",
        "a good answer begins anew"
    );
}

#[test]
fn what_counts_is_what_is_the_targets_fault() {
    let status = Arc::new(AtomicU16::new(500));
    let says = Arc::clone(&status);
    let behind = Upstream::answering(move |_| answer(says.load(Ordering::SeqCst)));
    let proxy = Proxy::before(behind.address());
    let keys = "health: {passive: {failures: 3, statuses: [\"503\"], eject: 1h, max_eject: 1h}}";
    let gateway = before(keys, 1).set("0", proxy.address()).start();
    let address = proxy.address().to_string();
    let is_up = || target(&gateway, &address).expect("there")["state"] == "up";
    // A status that was not asked for.
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 500);
    }
    // Clients that leave.
    proxy.set(Fault::Hang(Place::Request));
    let before = proxy.counts().struck;
    for at in 1..=5 {
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        proxy.wait_for_struck(before + at);
        drop(client);
        let cancelled = series(
            "swapgate_upstream_attempts_total",
            &address,
            ",outcome=\"cancelled\"",
        );
        gateway.wait_for_metric(&cancelled, f64::from(u32::try_from(at).expect("few")));
    }
    proxy.set(Fault::Pass);
    assert!(is_up());
    status.store(503, Ordering::SeqCst);
    let ejected = ask_until(&gateway, &address, "ejected");
    assert_eq!(
        ejected["reason"],
        "3 requests in a row failed, the last one: it answered 503"
    );
}

#[test]
fn every_fault_of_a_target_counts() {
    let behind = Upstream::fixed(answer(200));
    let proxy = Proxy::before(behind.address());
    for (fault, words) in [
        (Fault::Hang(Place::Answer), "it did not answer in time"),
        (
            Fault::Cut(Place::Answer),
            "it closed the connection before its answer",
        ),
        (
            Fault::Reset(Place::Answer),
            "it closed the connection before its answer",
        ),
        (
            Fault::Garble(swapgate_tests::proxy::Part::Status),
            "its answer was malformed",
        ),
    ] {
        let keys = "health: {passive: {failures: 2, eject: 1h, max_eject: 1h}}";
        let text = super::world::text(keys, 1);
        // Only who never answers is waited for in vain.
        let text = match fault {
            Fault::Hang(_) => text.replace("response: 60s", "response: 300ms"),
            _ => text,
        };
        let gateway = Gateway::with(&text).set("0", proxy.address()).start();
        let address = proxy.address().to_string();
        proxy.set(fault);
        let ejected = ask_until(&gateway, &address, "ejected");
        let reason = ejected["reason"].as_str().expect("there is one");
        assert!(reason.ends_with(words), "{fault}: {reason}");
        proxy.set(Fault::Pass);
    }
}

#[test]
fn never_more_than_a_share_is_ejected() {
    let targets: Vec<Refusing> = (0..4).map(|_| Refusing::new()).collect();
    for (percent, expected) in [(50, 2), (0, 1), (100, 4)] {
        let keys = format!(
            "health: {{passive: {{failures: 1, eject: 1h, max_eject: 1h, max_ejected: {percent}}}}}"
        );
        let mut gateway = before(&keys, 4);
        for (at, target) in targets.iter().enumerate() {
            gateway = gateway.set(&at.to_string(), target.address());
        }
        let gateway = gateway.start();
        for _ in 0..8 {
            assert_eq!(gateway.get("/").status, 502);
        }
        let ejected = |target: &&Refusing| {
            let address = target.address().to_string();
            super::world::target(&gateway, &address).expect("there")["state"] == "ejected"
        };
        assert_eq!(
            targets.iter().filter(ejected).count(),
            expected,
            "{percent} %"
        );
    }
}

#[test]
fn checks_bring_back_who_was_found_dead() {
    let mut nginx = Nginx::server("location / { return 200; }");
    let keys = format!(
        "health: {{active: {{{SOON}}}, passive: {{failures: 1, eject: 1h, max_eject: 1h}}}}"
    );
    let gateway = before(&keys, 1).set("0", nginx.address()).start();
    let address = nginx.address().to_string();
    nginx.kill();
    let _ = gateway.get("/");
    gateway.wait_for_metric(
        &series("swapgate_upstream_ejections_total", &address, ""),
        1.0,
    );
    // Out for two reasons now; the first one that is told is that of the check.
    let down = wait_for_state(&gateway, &address, "down");
    let reason = down["reason"].as_str().expect("there is one");
    assert!(
        reason.contains("checks in a row") && reason.contains("a request failed"),
        "{reason}"
    );
    nginx.start_again();
    wait_for_state(&gateway, &address, "up");
    assert_eq!(gateway.get("/").status, 200);
}
