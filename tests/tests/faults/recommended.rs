//! The settings that docs/balancing.md recommends, before a real server whose process is killed: out of rotation within a
//! second, back within five.
//!
//! A test run kills it once under each of them and waits with patience. `cargo xtask soak --faults N` kills it N times and
//! judges how long it took.

use std::time::{Duration, Instant};

use serde_json::Value;
use swapgate_tests::{Gateway, Load, Nginx, wait_until};

use super::trial::{Times, wait_until_up};

/// Set, it says how often, and every time is judged.
const LONG: &str = "SWAPGATE_KILLS";
/// What docs/balancing.md promises.
const OUT: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_secs(5);

#[test]
fn checks_and_ejection() {
    check(
        "checks, ejection",
        "health: {active: {path: /healthz, interval: 1s, timeout: 1s, healthy: 2, unhealthy: 2}, \
         passive: {failures: 3, eject: 10s}}",
        true,
    );
}

#[test]
fn without_checks() {
    check(
        "without checks",
        "health: {passive: {failures: 3, eject: 1s, max_eject: 4s}}",
        true,
    );
}

#[test]
fn without_traffic() {
    check(
        "without traffic",
        "health: {active: {interval: 200ms, timeout: 200ms, unhealthy: 3, healthy: 2}}",
        false,
    );
}

fn check(what: &str, health: &str, asked: bool) {
    let kills: Option<usize> = std::env::var(LONG)
        .ok()
        .and_then(|count| count.parse().ok());
    let block = "location / { return 200 fine; }";
    let (mut dies, stays) = (Nginx::server(block), Nginx::server(block));
    let address = dies.address();
    let gateway = gateway(&[address.to_string(), stays.address().to_string()], health);
    wait_until_up(&gateway, address, true);
    let load = asked.then(|| load(&gateway));
    let more = || load.iter().for_each(|load| load.wait_for_more(100));
    let (mut times, mut missed) = (Times::default(), Vec::new());
    for _ in 0..kills.unwrap_or(1) {
        more();
        let killed = Instant::now();
        dies.kill();
        wait_until_up(&gateway, address, false);
        let out = killed.elapsed();
        more();
        dies.start_again();
        let started = Instant::now();
        wait_until_up(&gateway, address, true);
        let back = started.elapsed();
        times.note(what.to_owned(), Some(out), back);
        if out > OUT || back > BACK {
            missed.push((out, back));
        }
        // An ejection that follows soon lasts longer; each time is to be the first one.
        wait_until_forgotten(&gateway, kills.is_some());
    }
    times.tell();
    if let Some(load) = load {
        let outcome = load.stop();
        assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
    }
    if kills.is_some() {
        assert_eq!(
            missed,
            [],
            "out after more than {OUT:?}, or back after more than {BACK:?}"
        );
    }
}

/// Waits until no target is remembered to have been out.
fn wait_until_forgotten(gateway: &Gateway, wanted: bool) {
    if !wanted {
        return;
    }
    let calm = Instant::now();
    wait_until("all targets to be well for a while", || {
        let document = gateway.admin("/upstreams").json();
        let targets = document["upstreams"][0]["targets"].as_array().cloned();
        let well = |one: &Value| one["state"] == "up";
        targets.is_some_and(|all| all.iter().all(well)) && calm.elapsed() > BACK
    });
}

fn gateway(targets: &[String], health: &str) -> Gateway {
    let targets: Vec<String> = targets
        .iter()
        .map(|address| format!("{{address: \"{address}\"}}"))
        .collect();
    Gateway::with(&format!(
        "\
workers: 2
upstreams: [{{name: up, targets: [{}], {health}}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
",
        targets.join(", ")
    ))
    .start()
}

/// What is under way at the target that dies may be lost: nobody asked for it to be sent again.
fn load(gateway: &Gateway) -> Load {
    let request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    Load::start(gateway.address(), 4, request, |answer| {
        match answer.status {
            200 | 502 => Ok(()),
            other => Err(format!("{other}")),
        }
    })
}
