//! Targets that cannot be reached, and connections that died while they were kept.

use swapgate_tests::unreachable::{Deaf, Refusing};
use swapgate_tests::{Gateway, Upstream, eventually};

use super::{assert_problem, before, prepared};

#[test]
fn a_target_that_refuses_is_passed_over() {
    let (refusing, upstream) = (Refusing::new(), Upstream::echo());
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@dead@\"}, {address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: all, service: up}]
",
    )
    .set("dead", refusing.address())
    .set("up", upstream.address())
    .start();
    for number in 0..10 {
        let path = format!("/{number}");
        assert_eq!(gateway.get(&path).json()["target"], path);
    }
    let body = "POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
    for _ in 0..2 {
        // Nothing was sent to the dead target, so a body is no obstacle.
        let answer = gateway.client().send(body).expect_response();
        assert_eq!(answer.json()["body"], "abc");
    }
    assert_eq!(upstream.take_requests().len(), 12, "each exactly once");
}

#[test]
fn a_target_that_does_not_answer_is_passed_over() {
    let (deaf, upstream) = (Deaf::new(), Upstream::echo());
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@dead@\"}, {address: \"@up@\"}]}]
services: [{name: up, upstream: up, timeouts: {connect: 200ms}}]
routes: [{name: all, service: up}]
",
    )
    .set("dead", deaf.address())
    .set("up", upstream.address())
    .start();
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 200);
    }
}

#[test]
fn no_target_at_all() {
    let refusing = Refusing::new();
    let gateway = prepared("", "").set("up", refusing.address()).start();
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_problem(&client.get("/"), 502);
    }
}

#[test]
fn no_target_that_answers() {
    let deaf = Deaf::new();
    let gateway = prepared("", "connect: 200ms")
        .set("up", deaf.address())
        .start();
    let answer = gateway.get("/");
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    assert_problem(&answer, answer.status);
}

/// Both gates of the race: the gateway saw the end of the kept connection, or it did not yet. No client may notice either.
#[test]
fn a_kept_connection_that_died_is_replaced() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    for round in 0..50 {
        let path = format!("/{round}");
        assert_eq!(client.get(&path).json()["target"], path);
        upstream.close_connections();
        if round % 2 == 0 {
            eventually!(upstream.open_connections() == 0);
        }
    }
    assert_eq!(upstream.take_requests().len(), 50, "each exactly once");
}

#[test]
fn a_kept_connection_is_used_again() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "", "");
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(
        upstream.connections(),
        1,
        "one worker, one request at a time"
    );
}

#[test]
fn an_upstream_that_closes_after_each_answer_is_believed() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
    });
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(upstream.connections(), 20);
}
