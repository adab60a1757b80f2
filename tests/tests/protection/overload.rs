//! More than the whole process takes: by requests, by memory, by connections; and the admin listener goes by none of it.

use swapgate_tests::{Client, Gateway, eventually};

use super::world::{Slow, refused, sent};

fn started(slow: &Slow, settings: &str) -> Gateway {
    let gateway = Gateway::with(&config(settings));
    gateway.set("up", slow.upstream.address()).start()
}

fn config(settings: &str) -> String {
    format!(
        "\
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    )
}

/// Demands that the admin listener answers, and that so many were turned away for this reason.
#[track_caller]
fn check(gateway: &Gateway, reason: &str, count: f64) {
    assert_eq!(gateway.admin("/healthz").status, 200);
    let series = format!("swapgate_shed_total{{reason=\"{reason}\"}}");
    assert_eq!(gateway.metrics().value(&series), Some(count));
}

#[test]
fn more_requests_than_the_process_takes() {
    let slow = Slow::start();
    let text = "workers: 2\noverload: {requests: 3, retry_after: 7s}";
    let gateway = started(&slow, text);
    let mut inside: Vec<Client> = (0..3).map(|_| sent(&gateway, "/")).collect();
    eventually!(slow.has() == 3);
    let mut outside = gateway.client();
    assert_eq!(refused(&outside.get("/")), 7);
    assert_eq!(refused(&outside.get("/")), 7, "the connection lives on");
    let post = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(refused(&outside.send(post).expect_response()), 7);
    check(&gateway, "requests", 3.0);
    assert_eq!(slow.upstream.requests().len(), 3);
    slow.let_go(usize::MAX);
    for client in &mut inside {
        assert_eq!(client.expect_response().status, 200);
    }
    eventually!(outside.get("/").status == 200);
    assert!(slow.had() <= 3);
}

#[test]
fn short_memory_turns_requests_away_until_there_is_more() {
    let slow = Slow::start();
    let gateway = started(&slow, "workers: 2");
    let mut running = sent(&gateway, "/running");
    eventually!(slow.has() == 1);
    gateway.reload_published(&config("workers: 2\noverload: {memory: 1MiB}"));
    gateway.wait_for_log("memory is short");
    let answer = gateway.get("/");
    assert_eq!(refused(&answer), 1);
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    check(&gateway, "memory", 1.0);
    slow.let_go(usize::MAX);
    assert_eq!(running.expect_response().status, 200, "what runs goes on");
    running.expect_closed();
    gateway.reload_published(&config("workers: 2\noverload: {memory: 100GiB}"));
    gateway.wait_for_log("memory is not short any more");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn connections_that_are_too_many_are_told_and_the_next_is_served() {
    let slow = Slow::start();
    let gateway = started(&slow, "workers: 1\nlimits: {connections: 2}");
    let mut inside: Vec<Client> = (0..2).map(|_| sent(&gateway, "/")).collect();
    eventually!(slow.has() == 2);
    for _ in 0..40 {
        let mut outside = gateway.client();
        let answer = outside.get("/");
        assert_eq!(refused(&answer), 1);
        assert_eq!(answer.header("connection").as_deref(), Some("close"));
        outside.expect_closed();
    }
    check(&gateway, "connections", 40.0);
    let mut next = gateway.client();
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 3.0);
    slow.let_go(usize::MAX);
    let first = inside.first_mut().expect("two of them");
    assert_eq!(first.expect_response().status, 200);
    drop(inside);
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 1.0);
    assert_eq!(next.get("/").status, 200, "it took a place that came free");
}

#[test]
fn idle_connections_make_room_the_longest_idle_first() {
    let slow = Slow::start();
    slow.let_go(usize::MAX);
    let gateway = started(&slow, "workers: 1\nlimits: {connections: 2}");
    let mut clients: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let mut third = gateway.client();
    clients.first_mut().expect("two of them").expect_closed();
    assert_eq!(third.get("/").status, 200);
    let second = clients.last_mut().expect("two of them");
    assert_eq!(second.get("/").status, 200);
    check(&gateway, "connections", 0.0);
}
