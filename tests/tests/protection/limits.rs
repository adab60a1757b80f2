//! Concurrency of upstreams and routes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use swapgate_tests::{Client, Gateway, eventually};

use super::world::{Slow, refused, sent};

/// Two workers before one upstream; `upstream` and `route` are what else they say.
fn config(upstream: &str, route: &str) -> String {
    format!(
        "\
workers: 2
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]{upstream}}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up{route}}}]
"
    )
}

fn limited(requests: usize, queue: usize, wait: &str) -> String {
    format!(", concurrency: {{requests: {requests}, queue: {queue}, wait: {wait}}}")
}

fn started(slow: &Slow, text: &str) -> Gateway {
    let gateway = Gateway::with(text);
    gateway.set("up", slow.upstream.address()).start()
}

/// How many wait for the upstream.
#[track_caller]
fn wait_for_queue(gateway: &Gateway, count: f64) {
    gateway.wait_for_metric("swapgate_upstream_queue_waiting{upstream=\"up\"}", count);
}

#[test]
fn an_upstream_never_has_more_than_its_limit() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(3, 1000, "60s"), ""));
    slow.let_go(usize::MAX);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                for _ in 0..5 {
                    // A connection each, so that both workers have some.
                    let mut client = gateway.client();
                    for _ in 0..10 {
                        assert_eq!(client.get("/").status, 200);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(served.load(Ordering::SeqCst), 24 * 50);
    assert!(slow.had() <= 3, "{}", slow.had());
    gateway.wait_for_metric("swapgate_upstream_requests{upstream=\"up\"}", 0.0);
}

#[test]
fn who_finds_no_room_is_told_at_once_and_who_waits_is_served_in_turn() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(1, 2, "60s"), ""));
    let mut first = sent(&gateway, "/first");
    eventually!(slow.has() == 1);
    let mut second = sent(&gateway, "/second");
    wait_for_queue(&gateway, 1.0);
    let mut third = sent(&gateway, "/third");
    wait_for_queue(&gateway, 2.0);
    assert_eq!(refused(&gateway.get("/fourth")), 60);
    let full = "swapgate_upstream_refused_total{upstream=\"up\",why=\"full\"}";
    assert_eq!(gateway.metrics().value(full), Some(1.0));
    for client in [&mut first, &mut second, &mut third] {
        slow.let_go(1);
        assert_eq!(client.expect_response().status, 200);
    }
    let asked = slow.upstream.requests();
    let asked: Vec<_> = asked.iter().map(|request| &*request.target).collect();
    assert_eq!(asked, ["/first", "/second", "/third"]);
}

#[test]
fn nobody_waits_for_longer_than_they_may() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(1, 5, "100ms"), ""));
    let mut first = sent(&gateway, "/");
    eventually!(slow.has() == 1);
    let mut late = gateway.client();
    assert_eq!(refused(&late.get("/late")), 1);
    slow.let_go(2);
    assert_eq!(first.expect_response().status, 200);
    assert_eq!(late.get("/again").status, 200, "the connection lives on");
    gateway.wait_for_metric(
        "swapgate_upstream_refused_total{upstream=\"up\",why=\"late\"}",
        1.0,
    );
}

#[test]
fn a_client_that_leaves_leaves_the_queue() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(1, 2, "60s"), ""));
    let mut first = sent(&gateway, "/first");
    eventually!(slow.has() == 1);
    let gone = sent(&gateway, "/gone");
    wait_for_queue(&gateway, 1.0);
    let mut last = sent(&gateway, "/last");
    wait_for_queue(&gateway, 2.0);
    gone.reset();
    wait_for_queue(&gateway, 1.0);
    slow.let_go(2);
    assert_eq!(first.expect_response().status, 200);
    assert_eq!(last.expect_response().status, 200);
    let asked = slow.upstream.requests();
    assert!(asked.iter().all(|request| request.target != "/gone"));
}

#[test]
fn a_client_that_leaves_in_the_middle_gives_its_place_up() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(1, 2, "60s"), ""));
    let gone = sent(&gateway, "/gone");
    eventually!(slow.has() == 1);
    let mut next = sent(&gateway, "/next");
    wait_for_queue(&gateway, 1.0);
    gone.reset();
    slow.upstream.wait_for_requests(2);
    slow.let_go(2);
    assert_eq!(next.expect_response().status, 200);
}

#[test]
fn a_reload_changes_the_number_and_keeps_the_count() {
    let slow = Slow::start();
    let gateway = started(&slow, &config(&limited(1, 5, "60s"), ""));
    let mut clients: Vec<Client> = (0..3).map(|_| sent(&gateway, "/")).collect();
    eventually!(slow.has() == 1);
    wait_for_queue(&gateway, 2.0);
    gateway.reload_published(&config(&limited(3, 5, "60s"), ""));
    eventually!(slow.has() == 3);
    gateway.reload_published(&config(&limited(2, 5, "60s"), ""));
    clients.push(sent(&gateway, "/"));
    wait_for_queue(&gateway, 1.0);
    slow.let_go(1);
    eventually!(slow.has() == 2);
    wait_for_queue(&gateway, 1.0);
    slow.let_go(3);
    for client in &mut clients {
        assert_eq!(client.expect_response().status, 200);
    }
    assert_eq!(slow.had(), 3);
}

#[test]
fn a_route_has_a_limit_of_its_own() {
    let slow = Slow::start();
    let text = "\
workers: 2
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
  - {name: few, paths: [/few], service: up, concurrency: {requests: 1, queue: 0, wait: 2s}}
  - {name: many, service: up}
";
    let gateway = started(&slow, text);
    let mut few = sent(&gateway, "/few");
    eventually!(slow.has() == 1);
    assert_eq!(refused(&gateway.get("/few")), 2);
    let mut many = sent(&gateway, "/many");
    eventually!(slow.has() == 2);
    let refused = "swapgate_route_refused_total{route=\"few\",why=\"full\"}";
    assert_eq!(gateway.metrics().value(refused), Some(1.0));
    slow.let_go(2);
    assert_eq!(few.expect_response().status, 200);
    assert_eq!(many.expect_response().status, 200);
    gateway.wait_for_metric("swapgate_route_requests{route=\"few\"}", 0.0);
}
