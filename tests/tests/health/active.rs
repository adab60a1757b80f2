//! Checks in plain text: a GET, a connect, what counts as good, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use serde_json::Value;
use swapgate_tests::unreachable::Deaf;
use swapgate_tests::{Fault, Nginx, Proxy, Upstream, eventually, proxy::Place};

use super::world::{
    SOON, before, series, target, wait_for_check_after, wait_for_reason, wait_for_state,
};

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n\r\nok").into_bytes()
}

#[test]
fn a_target_that_is_gone_is_down_until_it_is_back() {
    let mut nginx = Nginx::server("location /healthz { return 204; }");
    let other = Nginx::server("location /healthz { return 204; }");
    let keys = format!("health: {{active: {{path: /healthz, {SOON}}}}}");
    let gateway = before(&keys, 2)
        .set("0", nginx.address())
        .set("1", other.address())
        .start();
    let (address, well) = (nginx.address().to_string(), other.address().to_string());
    let begun = target(&gateway, &address).expect("it is configured");
    assert_eq!(begun["state"], "up", "targets begin in rotation");
    assert_eq!(
        (&begun["weight"], &begun["priority"]),
        (&1.into(), &0.into())
    );

    nginx.kill();
    let down = wait_for_reason(&gateway, &address, "down", "it took no connection");
    assert!(down["since_unix_ms"].as_u64() > begun["since_unix_ms"].as_u64());
    assert_eq!(down["last_check"]["ok"], false);
    assert!(down["last_check"]["error"].is_string(), "{down}");
    gateway.wait_for_log(&format!(
        "target {address} of upstream up is out of rotation: 2 checks in a row failed, the last one: it took no connection: Connection refused"
    ));
    gateway.wait_for_metric(&series("swapgate_upstream_target_up", &address, ""), 0.0);
    gateway.wait_for_metric(&series("swapgate_upstream_target_up", &well, ""), 1.0);
    let failed = series(
        "swapgate_health_checks_total",
        &address,
        ",result=\"connect_error\"",
    );
    // One of the two that took it out may have been under way when the process was killed, and counts as another kind.
    eventually!(gateway.metrics().value(&failed) >= Some(2.0));
    assert_eq!(gateway.admin("/readyz").status, 200, "the gateway serves");
    assert_eq!(target(&gateway, &well).expect("it is there")["state"], "up");

    nginx.start_again();
    let up = wait_for_state(&gateway, &address, "up");
    assert!(up["since_unix_ms"].as_u64() > down["since_unix_ms"].as_u64());
    assert_eq!(up["reason"], Value::Null);
    gateway.wait_for_metric(&series("swapgate_upstream_target_up", &address, ""), 1.0);
    gateway.wait_for_log(&format!(
        "target {address} of upstream up is back in rotation: 2 checks in a row were good"
    ));
    let told = gateway.log_messages();
    let told = told.iter().filter(|text| text.contains("rotation")).count();
    assert_eq!(told, 2, "each turn is told once");
}

#[test]
fn what_a_check_asks_for() {
    let target = Upstream::fixed(answer(200));
    let keys =
        format!("health: {{active: {{path: \"/healthz?deep=1\", host: users.internal, {SOON}}}}}");
    let _gateway = before(&keys, 1).set("0", target.address()).start();
    target.wait_for_requests(2);
    let asked = &target.requests()[0];
    assert_eq!(asked.line(), "GET /healthz?deep=1 HTTP/1.1");
    let of = |name: &str| asked.headers.get(name);
    assert_eq!(of("host").as_deref(), Some("users.internal"));
    assert_eq!(of("connection").as_deref(), Some("close"));
    let agent = concat!("swapgate/", env!("CARGO_PKG_VERSION"), " (health check)");
    assert_eq!(of("user-agent").as_deref(), Some(agent));
    assert!(target.connections() >= 2, "each has its own connection");
    eventually!(
        target.open_connections() <= 1,
        "connections end with their checks"
    );
}

#[test]
fn statuses_decide_and_thresholds_count_in_a_row() {
    // Two bad ones are not enough; a good one in between begins anew.
    const SAID: [u16; 8] = [200, 500, 500, 204, 404, 500, 302, 503];
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = Upstream::answering(move |_| {
        let at = count.fetch_add(1, Ordering::SeqCst);
        answer(SAID.get(at).copied().unwrap_or(503))
    });
    let keys = "health: {active: {statuses: [\"200-299\", \"302\"], interval: 50ms, timeout: 10s, healthy: 1, unhealthy: 3}}";
    let gateway = before(keys, 1).set("0", upstream.address()).start();
    let address = upstream.address().to_string();
    let down = wait_for_state(&gateway, &address, "down");
    assert!(
        asked.load(Ordering::SeqCst) >= 10,
        "three after the last good one"
    );
    let reason = down["reason"].as_str().expect("there is one");
    assert!(
        reason.ends_with("the last one: it answered 503 Service Unavailable"),
        "{reason}"
    );
    let unwell = series(
        "swapgate_health_checks_total",
        &address,
        ",result=\"unwell\"",
    );
    assert!(gateway.metrics().value(&unwell) >= Some(7.0));
    let log = gateway.log();
    assert_eq!(log.matches("is out of rotation").count(), 1);
}

#[test]
fn whoever_hangs_or_garbles_is_not_well() {
    let behind = Upstream::fixed(answer(200));
    let proxy = Proxy::before(behind.address());
    let keys = "health: {active: {interval: 50ms, timeout: 200ms, healthy: 1, unhealthy: 1}}";
    let gateway = before(keys, 1).set("0", proxy.address()).start();
    let address = proxy.address().to_string();
    for (fault, reason) in [
        (Fault::Hang(Place::Answer), "it did not answer within 200ms"),
        (Fault::Hang(Place::Body), "it did not answer within 200ms"),
        (
            Fault::Cut(Place::Answer),
            "it ended the connection instead of answering",
        ),
        (Fault::Cut(Place::Body), "its answer broke off"),
        (
            Fault::Garble(swapgate_tests::proxy::Part::Status),
            "its answer is malformed",
        ),
    ] {
        proxy.set(fault);
        wait_for_reason(&gateway, &address, "down", reason);
        assert_eq!(gateway.admin("/healthz").status, 200);
        proxy.set(Fault::Pass);
        wait_for_state(&gateway, &address, "up");
    }
}

#[test]
fn a_connect_that_is_not_answered_is_a_bad_check() {
    let deaf = Deaf::new();
    let keys = "health: {active: {type: tcp, interval: 50ms, timeout: 200ms, unhealthy: 1}}";
    let gateway = before(keys, 1).set("0", deaf.address()).start();
    let address = deaf.address().to_string();
    wait_for_reason(
        &gateway,
        &address,
        "down",
        "it did not take a connection within 200ms",
    );
    let late = series(
        "swapgate_health_checks_total",
        &address,
        ",result=\"timeout\"",
    );
    assert!(gateway.metrics().value(&late) >= Some(1.0));
}

#[test]
fn a_connect_is_enough_for_tcp() {
    let mut nginx = Nginx::server("return 500;");
    let keys = format!("health: {{active: {{type: tcp, {SOON}}}}}");
    let gateway = before(&keys, 1).set("0", nginx.address()).start();
    let address = nginx.address().to_string();
    let begun = target(&gateway, &address).expect("it is configured");
    let checked = wait_for_check_after(&gateway, &address, &begun);
    assert_eq!(
        (&checked["state"], &checked["last_check"]["ok"]),
        (&"up".into(), &true.into())
    );
    nginx.kill();
    wait_for_state(&gateway, &address, "down");
    nginx.start_again();
    wait_for_state(&gateway, &address, "up");
}

#[test]
fn sockets_in_the_file_system_are_checked_as_well() {
    let nginx = Nginx::server("listen unix:@folder@/up.sock; location / { return 200; }");
    let address = format!("unix:{}", nginx.folder().join("up.sock").display());
    let keys = format!("health: {{active: {{{SOON}}}}}");
    let gateway = before(&keys, 1).set("0", &*address).start();
    let begun = target(&gateway, &address).expect("it is configured");
    let checked = wait_for_check_after(&gateway, &address, &begun);
    assert_eq!(checked["last_check"]["ok"], true, "{checked}");
    drop(nginx);
    wait_for_reason(&gateway, &address, "down", "it took no connection");
}

#[test]
fn checks_that_hang_delay_nobody() {
    let status = Arc::new(AtomicU16::new(200));
    let said = Arc::clone(&status);
    let well = Upstream::answering(move |_| answer(said.load(Ordering::SeqCst)));
    let deaf = Deaf::new();
    let keys = "health: {active: {interval: 50ms, timeout: 1h, healthy: 1, unhealthy: 1}}";
    let gateway = before(keys, 2)
        .set("0", deaf.address())
        .set("1", well.address())
        .start();
    let address = well.address().to_string();
    for (says, state) in [(503, "down"), (200, "up"), (503, "down")] {
        status.store(says, Ordering::SeqCst);
        wait_for_state(&gateway, &address, state);
    }
    gateway.reload_published(&super::world::text("", 2));
    wait_for_state(&gateway, &address, "up");
}
