//! What copies may cost.

use rustix::process::Signal;
use swapgate_tests::process::anonymous_bytes;
use swapgate_tests::{Gate, Gateway, Upstream, eventually};

use super::{config, count, counted, mirrored, post, series};

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A mirror that has a copy for as long as the gate is closed.
fn hanging() -> (Upstream, Gate) {
    let gate = Gate::new();
    let held = gate.clone();
    let shadow = Upstream::start(move |conversation| {
        loop {
            conversation.receive()?;
            held.pass();
            conversation.send(EMPTY)?;
        }
    });
    (shadow, gate)
}

fn get(gateway: &Gateway, times: usize) {
    let mut client = gateway.client();
    for _ in 0..times {
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn so_many_copies_at_once_and_no_more() {
    let primary = Upstream::echo();
    let (shadow, gate) = hanging();
    let gateway = mirrored(&primary, shadow.address(), "", ", requests: 3").start();
    get(&gateway, 50);
    shadow.wait_for_requests(3);
    assert_eq!(count(&gateway, "dropped_limit"), 47);
    // A reload is no way round it.
    gateway.reload_published(&config("priority: 1, ", ", requests: 3"));
    get(&gateway, 10);
    assert_eq!(count(&gateway, "dropped_limit"), 57);
    assert_eq!(shadow.requests().len(), 3);
    gate.open();
    gateway.wait_for_metric(&series("sent"), 3.0);
    get(&gateway, 1);
    gateway.wait_for_metric(&series("sent"), 4.0);
}

/// Once its time-out is over, a copy makes room for another one; it is not sent again.
#[test]
fn a_copy_that_is_not_answered_is_given_up() {
    let primary = Upstream::echo();
    for limit in ["response: 200ms", "total: 200ms"] {
        let (shadow, gate) = hanging();
        let route = format!("timeouts: {{{limit}}}, ");
        let gateway = mirrored(&primary, shadow.address(), &route, ", requests: 2").start();
        get(&gateway, 2);
        gateway.wait_for_metric(&series("failed"), 2.0);
        assert_eq!(shadow.requests().len(), 2, "{limit}");
        get(&gateway, 2);
        gateway.wait_for_metric(&series("failed"), 4.0);
        assert_eq!(shadow.requests().len(), 4, "{limit}");
        assert_eq!(count(&gateway, "dropped_limit"), 0);
        gate.open();
        eventually!(shadow.open_connections() == 0);
    }
}

/// Copies leave an upstream alone that others found to fail, and say nothing of it themselves.
#[test]
fn a_mirror_whose_breaker_is_open_gets_no_copies() {
    let primary = Upstream::echo();
    let shadow = Upstream::fixed("HTTP/1.1 500 So\r\ncontent-length: 0\r\n\r\n");
    let text = "\
workers: 1
upstreams:
  - {name: up, targets: [{address: \"@up@\"}]}
  - {name: shadow, targets: [{address: \"@shadow@\"}], breaker: {failures: 1, requests: 1, open: 1h}}
services: [{name: s, upstream: up}, {name: shadow, upstream: shadow}]
routes:
  - {name: direct, paths: [/direct], service: shadow}
  - {name: all, service: s, mirror: {upstream: shadow}}
";
    let gateway = Gateway::with(text)
        .set("up", primary.address())
        .set("shadow", shadow.address())
        .start();
    get(&gateway, 3);
    gateway.wait_for_metric(&series("sent"), 3.0);
    assert_eq!(gateway.get("/direct").status, 500);
    get(&gateway, 5);
    let body = post("/", b"some");
    let mut client = gateway.client();
    assert_eq!(client.send(&body).expect_response().status, 200);
    gateway.wait_for_metric(&series("dropped_breaker"), 6.0);
    assert_eq!(shadow.requests().len(), 4);
    let refused = "swapgate_upstream_refused_total{upstream=\"shadow\",why=\"breaker\"}";
    assert_eq!(gateway.metrics().value(refused), Some(0.0));
}

/// A body that the client sends slowly holds a place, and no more than that.
#[test]
fn a_body_under_way_holds_a_place() {
    let (primary, shadow) = (Upstream::echo(), Upstream::echo());
    let gateway = mirrored(&primary, shadow.address(), "", ", requests: 1").start();
    let mut slow = gateway.client();
    slow.send("POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nha");
    eventually!(primary.connections() == 1);
    get(&gateway, 1);
    gateway.wait_for_metric(&series("dropped_limit"), 1.0);
    slow.send("lf");
    assert_eq!(slow.expect_response().status, 200);
    gateway.wait_for_metric(&series("sent"), 1.0);
    assert_eq!(shadow.requests()[0].body, b"half");
}

/// 64 copies of 64 KiB are 4 MiB, however many more there might be.
#[test]
fn a_mirror_that_hangs_costs_no_more_than_its_copies() {
    let primary = Upstream::fixed(EMPTY);
    let (shadow, gate) = hanging();
    let gateway = mirrored(&primary, shadow.address(), "", "").start();
    let body = post("/", &vec![b'x'; 64 * 1024]);
    let mut client = gateway.client();
    let mut send = |times: usize| {
        for _ in 0..times {
            assert_eq!(client.send(&body).expect_response().status, 200);
            let _ = primary.take_requests();
        }
    };
    // As many as may be hang from now on.
    send(100);
    shadow.wait_for_requests(64);
    let memory = anonymous_bytes(gateway.pid());
    send(2_000);
    let grown = anonymous_bytes(gateway.pid()).saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes more");
    assert_eq!(count(&gateway, "dropped_limit"), 2_036);
    assert_eq!(counted(&gateway), 2_036);
    gate.open();
}

/// The mirror has its copies and will not answer them; the gateway ends all the same, and with it they do.
#[test]
fn a_shutdown_waits_for_no_copy() {
    let primary = Upstream::echo();
    let (shadow, gate) = hanging();
    let mut gateway = mirrored(&primary, shadow.address(), "", "").start();
    get(&gateway, 5);
    shadow.wait_for_requests(5);
    gateway.signal(Signal::TERM);
    let status = gateway.wait_for_end();
    assert!(status.success(), "{status}");
    gate.open();
    eventually!(shadow.open_connections() == 0);
}

/// A copy outlives its generation without holding it.
#[test]
fn a_copy_keeps_no_generation() {
    let primary = Upstream::echo();
    let (shadow, gate) = hanging();
    let gateway = mirrored(&primary, shadow.address(), "", "").start();
    get(&gateway, 5);
    shadow.wait_for_requests(5);
    gateway.reload_published(&config("priority: 1, ", ""));
    gateway.wait_for_metric("swapgate_generations_draining", 0.0);
    assert_eq!(counted(&gateway), 0, "the copies still wait");
    gate.open();
    gateway.wait_for_metric(&series("sent"), 5.0);
}
