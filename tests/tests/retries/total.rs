//! The limit on all of an exchange, wherever it is when the time runs out.

use swapgate_tests::unreachable::{Deaf, Refusing};
use swapgate_tests::wire::WireError;
use swapgate_tests::{Gateway, Response, Upstream, eventually, h2};

use super::{alone, alone_at, before, hangs};

/// A limit within which something must have gone well before it strikes, on a busy machine too.
const ENOUGH: &str = "2s";

#[track_caller]
fn assert_too_late(answer: &Response) {
    assert_eq!(answer.status, 504, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
}

/// A route that waits for one of these things, for far longer than the limit on all of it.
fn stages() -> Vec<(&'static str, String)> {
    let long = "connect: 60s, response: 60s, total: 300ms";
    vec![
        ("connect", format!("timeouts: {{{long}}}")),
        (
            "back-off",
            format!(
                "timeouts: {{{long}}}, retries: {{attempts: 100, budget: 1000, backoff: 60s, max_backoff: 60s}}"
            ),
        ),
        ("head", format!("timeouts: {{{long}}}")),
    ]
}

#[test]
fn time_runs_out_before_the_head() {
    let (deaf, refusing, silent) = (Deaf::new(), Refusing::new(), Upstream::start(hangs));
    for (stage, service) in stages() {
        let address = match stage {
            "connect" => deaf.address(),
            "back-off" => refusing.address(),
            _ => silent.address(),
        };
        let gateway = alone_at(address, &service).start();
        let mut client = gateway.client();
        assert_too_late(&client.get("/"));
        assert_too_late(&client.get("/the-connection-goes-on"));
        let mut client = h2::Connection::open(gateway.address());
        let answer = client.get("/").expect("an answer");
        assert_eq!((answer.status, answer.reset), (504, None), "{stage}");
        let answer = client.get("/").expect("the connection goes on");
        assert_eq!(answer.status, 504, "{stage}");
    }
}

/// Retries do not begin the time anew.
#[test]
fn attempts_share_the_time() {
    let (first, second) = (Upstream::start(hangs), Upstream::start(hangs));
    let service = format!(
        "timeouts: {{response: 60s, total: {ENOUGH}}}, retries: {{attempts: 5, on: [timeout]}}"
    );
    let gateway = before(&first, &second, &service).start();
    assert_too_late(&gateway.get("/"));
    assert_eq!(super::arrived(&first, &second), 1);
}

#[test]
fn time_runs_out_inside_the_body() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
        conversation.until_closed();
        Ok(())
    });
    let service = format!("timeouts: {{idle: 60s, total: {ENOUGH}}}");
    let gateway = alone(&upstream, &service).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let error = client.read_response("GET").expect_err("it is never whole");
    assert!(
        matches!(&error, WireError::Closed(got) | WireError::Reset(got) if got.ends_with(b"half")),
        "{error}"
    );
    let mut client = h2::Connection::open(gateway.address());
    let answer = client.get("/").expect("it ends");
    assert_eq!((answer.status, answer.ended), (200, false));
    assert!(answer.reset.is_some() && answer.body == b"half");
    client.synchronize().expect("the connection goes on");
    eventually!(upstream.open_connections() == 0);
    gateway.wait_for_log("longer than timeouts.total");
}

/// The answer never ends, and the client takes nothing of it.
#[test]
fn time_runs_out_for_a_client_that_takes_nothing() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")?;
        let piece = vec![b'x'; 1 << 16];
        loop {
            conversation.send(&piece)?;
        }
    });
    let gateway = alone(&upstream, &format!("timeouts: {{total: {ENOUGH}}}")).start();
    let mut first = gateway.client();
    first.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut second = h2::Connection::open(gateway.address());
    second.ask(&h2::connection::request("GET", "/"), None);
    eventually!(upstream.connections() == 2);
    eventually!(upstream.open_connections() == 0);
}

/// What is sent in time is not touched, and the next request on the connection has all of its time.
#[test]
fn each_exchange_has_its_own_time() {
    let upstream = Upstream::echo();
    let gateway = alone(&upstream, "timeouts: {total: 60s}").start();
    let mut client = gateway.client();
    let mut streams = h2::Connection::open(gateway.address());
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
        assert_eq!(streams.get("/").expect("an answer").status, 200);
    }
}

/// Who sends a request too slowly says nothing of the upstream; a target that had all of it, and most of the time, does.
#[test]
fn a_slow_client_is_not_the_upstreams_fault() {
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            if request.target == "/hasty/hangs" {
                conversation.until_closed();
                return Ok(());
            }
            conversation.send(request.to_answer())?;
        }
    });
    // What must go well has a route without a limit.
    let text = format!(
        "\
workers: 1
upstreams:
  - name: up
    targets: [{{address: \"@target@\"}}]
    breaker: {{failures: 1, requests: 1, open: 1h}}
    health: {{passive: {{failures: 1}}}}
services:
  - {{name: patient, upstream: up}}
  - {{name: hasty, upstream: up, timeouts: {{response: 60s, total: {ENOUGH}}}}}
routes: [{{name: hasty, paths: [/hasty], service: hasty}}, {{name: all, service: patient}}]
"
    );
    let gateway = Gateway::with(&text)
        .set("target", upstream.address())
        .start();
    let attempts = |outcome: &str, count: f64| {
        let name = format!(
            "swapgate_upstream_attempts_total{{upstream=\"up\",target=\"{}\",outcome=\"{outcome}\"}}",
            upstream.address()
        );
        gateway.wait_for_metric(&name, count);
    };
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client();
        client.send(format!(
            "POST /hasty HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n1\r\nx\r\n"
        ));
        assert_too_late(&client.expect_response());
        assert_eq!(gateway.get("/").status, 200, "{framing}");
    }
    attempts("cancelled", 2.0);
    let mut client = gateway.client();
    client.send("POST /hasty/hangs HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    assert_too_late(&client.expect_response());
    attempts("timeout", 1.0);
    assert_eq!(gateway.get("/").status, 503, "the breaker is open");
}

/// A tunnel ends when nobody says anything, and not before.
#[test]
fn a_tunnel_outlives_it() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.receive()?;
        if request.target != "/tunnel" {
            conversation.until_closed();
            return Ok(());
        }
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )?;
        loop {
            let byte = conversation.receive_exact(1)?;
            conversation.send(byte)?;
        }
    });
    let gateway = alone(&upstream, &format!("timeouts: {{total: {ENOUGH}}}")).start();
    let mut tunnel = gateway.client();
    tunnel.send("GET /tunnel HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    let head = tunnel.read_head().expect("a head");
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
    // By the time this is answered the limit has passed.
    assert_too_late(&gateway.get("/"));
    tunnel.send("x");
    assert_eq!(tunnel.read_exact(1).expect("an echo"), b"x");
}
