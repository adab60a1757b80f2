//! Limits and times that change while the gateway runs.

use swapgate_tests::{Client, Gate, Gateway, Upstream};

use super::named;

fn config(settings: &str, timeouts: &str) -> String {
    format!(
        "\
workers: 1
{settings}
upstreams: [{{name: a, targets: [{{address: \"@a@\"}}]}}]
services: [{{name: a, upstream: a, timeouts: {{{timeouts}}}}}]
routes: [{{name: stay, service: a}}]
"
    )
}

#[test]
fn body_limits_take_effect_on_kept_connections() {
    let a = named("a");
    let gateway = Gateway::with(&config("limits: {body_bytes: 10}", ""))
        .set("a", a.address())
        .start();
    let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(gateway.client().send(post).expect_response().status, 413);
    let mut kept = gateway.client();
    assert_eq!(kept.get("/").status, 200);
    gateway.reload_published(&config("limits: {body_bytes: 11}", ""));
    assert_eq!(kept.send(post).expect_response().status, 200);
    gateway.reload_published(&config("limits: {body_bytes: 10}", ""));
    assert_eq!(kept.send(post).expect_response().status, 413);
}

#[test]
fn response_times_take_effect() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive()?;
        held.pass();
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    let gateway = Gateway::with(&config("", ""))
        .set("a", upstream.address())
        .start();
    gateway.reload_published(&config("", "response: 100ms"));
    assert_eq!(gateway.get("/").status, 504);
    gateway.reload_published(&config("", "response: 50s"));
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    upstream.wait_for_requests(2);
    gate.open();
    assert_eq!(client.expect_response().status, 200);
}

#[test]
fn client_times_take_effect_for_new_connections() {
    let a = named("a");
    let gateway = Gateway::with(&config("", "")).set("a", a.address()).start();
    gateway.reload_published(&config("client_timeouts: {idle: 200ms, header: 200ms}", ""));
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    client.expect_closed();
}

/// A client that is one too many is served as soon as the limit is raised, not when another client leaves.
#[test]
fn more_connections_are_admitted_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    let gateway = Gateway::with(&config("limits: {connections: 2}", ""))
        .set("a", upstream.address())
        .start();
    let ask = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut inside: Vec<Client> = (0..3).map(|_| gateway.client()).collect();
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 3.0);
    for (client, count) in inside.iter_mut().zip(1..=2) {
        client.send(ask);
        upstream.wait_for_requests(count);
    }
    assert_eq!(gateway.get("/").status, 503);
    gateway.reload_published(&config("limits: {connections: 3}", ""));
    inside[2].send(ask);
    upstream.wait_for_requests(3);
    // Fewer than there are: nobody is thrown out, nobody new is served until there is room.
    gateway.reload_published(&config("limits: {connections: 1}", ""));
    assert_eq!(gateway.get("/").status, 503);
    gate.open();
    for client in &mut inside {
        assert_eq!(client.expect_response().status, 200);
    }
    drop(inside);
    gateway.wait_for_metric("swapgate_connections{listener=\"public\"}", 0.0);
    assert_eq!(gateway.get("/").status, 200);
}
