//! Plugins in C, C++ and Go in one gateway, at the same time and in the same exchange.

use std::fs;
use std::thread;

use swapgate_tests::gateway::Builder;
use swapgate_tests::upstream::Received;
use swapgate_tests::{Gateway, Load, Response, Upstream, artifacts, wait_until};

/// What auth-cpp lets in.
const BEARER: &str = "authorization: Bearer sesame";

/// A gateway with the three of them: alone on a route each, and all on one.
struct World {
    gateway: Gateway,
    upstream: Upstream,
    /// Knows who may come in.
    auth: Upstream,
}

/// Knows one key.
fn knowing() -> Upstream {
    Upstream::answering(|request| {
        let head = match request.headers.get("authorization").as_deref() {
            Some("Key alice") => "200 OK\r\nx-consumer: alice",
            Some("Key broken") => "500 Internal Server Error",
            _ => "403 Forbidden",
        };
        format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    })
}

fn configured(upstream: &Upstream, auth: &Upstream) -> Builder {
    let gateway = Gateway::with(
        "\
workers: 2
upstreams:
  - {name: up, targets: [{address: \"@up@\"}]}
  - {name: auth, targets: [{address: \"@auth@\"}]}
services: [{name: up, upstream: up}, {name: auth, upstream: auth}]
routes:
  - name: asked
    service: up
    paths: [/asked]
    plugins: [{name: auth-cpp, config: {service: auth, path: /check}}]
  - name: cpp
    service: up
    paths: [/cpp]
    plugins: [{name: auth-cpp, config: {token: sesame, sleep_ms: 20}}]
  - name: go
    service: up
    paths: [/go]
    plugins: [{name: lookup-go, config: {tiers: {alice: gold}, takes_ms: 20}}]
  - name: slow
    service: up
    paths: [/slow]
    plugins: [{name: lookup-go, config: {takes_ms: 300}}]
  - name: c
    service: up
    paths: [/c]
    plugins: [{name: body-c, config: {pause_ms: 20}}]
  - name: all
    service: up
    paths: [/all]
    plugins:
      - {name: auth-cpp, config: {token: sesame, sleep_ms: 10}}
      - {name: lookup-go, config: {tiers: {alice: gold}, takes_ms: 10}}
      - {name: body-c, config: {pause_ms: 10}}
",
    )
    .set("up", upstream.address())
    .set("auth", auth.address());
    ["auth_cpp", "lookup_go", "body_c"]
        .into_iter()
        .fold(gateway, |gateway, library| {
            let bytes = fs::read(artifacts::sdk_example(library)).expect("make built it");
            gateway.plugin_bytes(&format!("lib{library}.so"), &bytes)
        })
}

/// Answers with what it saw.
fn seeing() -> Upstream {
    Upstream::answering(|request| {
        let body = seen(request);
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    })
}

fn seen(request: &Received) -> String {
    let header = |name| request.headers.get(name).unwrap_or_default();
    format!(
        "consumer={} tier={} body={}\n",
        header("x-consumer"),
        header("x-tier"),
        String::from_utf8_lossy(&request.body)
    )
}

impl World {
    fn start() -> Self {
        let upstream = seeing();
        let auth = knowing();
        let gateway = configured(&upstream, &auth).start();
        Self {
            gateway,
            upstream,
            auth,
        }
    }

    fn ask(&self, path: &str, headers: &[&str], body: &str) -> Response {
        ask(&self.gateway, path, headers, body)
    }
}

fn ask(gateway: &Gateway, path: &str, headers: &[&str], body: &str) -> Response {
    let mut client = gateway.client();
    let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    client.send(format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.expect_response()
}

#[test]
fn the_one_in_cpp_waits_and_then_lets_in_or_refuses() {
    let world = World::start();
    let answer = world.ask("/cpp", &[BEARER], "");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "consumer=holder tier= body=\n")
    );
    for headers in [&["authorization: Bearer mellon"][..], &[]] {
        let answer = world.ask("/cpp", headers, "");
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

#[test]
fn the_one_in_cpp_asks_another_service() {
    let world = World::start();
    for (key, status, text) in [
        ("alice", 200, "consumer=alice tier= body=\n"),
        ("bob", 401, "who are you?\n"),
    ] {
        let answer = world.ask("/asked", &[&format!("authorization: Key {key}")], "");
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
    }
    let answer = world.ask("/asked", &["authorization: Key broken"], "");
    assert_eq!(answer.status, 500, "{answer:?}");
    world.gateway.wait_for_log("the service answered 500");
    let asked = world.auth.requests();
    let lines: Vec<_> = asked.iter().map(swapgate_tests::Received::line).collect();
    assert_eq!(lines, ["GET /check HTTP/1.1"; 3]);
}

#[test]
fn the_one_in_go_is_woken_by_a_goroutine_and_its_panic_stays_inside() {
    let mut world = World::start();
    let answer = world.ask("/go", &["x-client: alice"], "");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "consumer= tier=gold body=\n")
    );
    assert_eq!(world.ask("/go", &[], "").status, 400);
    assert_eq!(world.ask("/go", &["x-client: panic"], "").status, 500);
    world.gateway.wait_for_log("panic: the client asked for it");

    // A client that does not wait: the goroutine wakes an exchange that is over.
    let mut client = world.gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\nx-client: bob\r\n\r\n");
    client.reset();
    let answer = world.ask("/slow", &["x-client: bob"], "");
    assert_eq!(answer.text(), "consumer= tier=free body=\n");

    // The handlers of signals that the runtime of Go brings leave the gateway's alone.
    assert!(world.gateway.terminate().success());
}

#[test]
fn the_one_in_c_changes_both_bodies_and_waits_in_between() {
    let world = World::start();
    let answer = world.ask("/c", &[], "a secret and a sec");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (
            200,
            "consumer= tier= body=a ****** and a sec\n-- 40 bytes\n"
        )
    );
}

#[test]
fn all_three_work_on_one_exchange_and_on_many_at_once() {
    let world = World::start();
    let answer = world.ask("/all", &[BEARER, "x-client: alice"], "the secret");
    let expected = "consumer=holder tier=gold body=the ******\n-- 42 bytes\n";
    assert_eq!((answer.status, answer.text().as_str()), (200, expected));

    let request = format!(
        "POST /all HTTP/1.1\r\nHost: test\r\n{BEARER}\r\nx-client: alice\r\nContent-Length: 10\r\n\r\nthe secret"
    );
    let load = Load::start(world.gateway.address(), 8, &request, move |answer| {
        let text = answer.text();
        match (answer.status, text == expected) {
            (200, true) => Ok(()),
            other => Err(format!("{other:?}: {text}")),
        }
    });
    let gateway = &world.gateway;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let answer = ask(gateway, "/cpp", &[BEARER], "");
                    assert_eq!(answer.text(), "consumer=holder tier= body=\n");
                    let answer = ask(gateway, "/go", &["x-client: alice"], "");
                    assert_eq!(answer.text(), "consumer= tier=gold body=\n");
                }
            });
        }
    });
    load.wait_for_more(50);
    load.stop_without_failure();

    let view = world.gateway.plugins_view();
    let images = view["images"].as_array().expect("a list of images");
    for id in ["auth-cpp", "lookup-go", "body-c"] {
        let serving = |image: &&serde_json::Value| image["id"] == id && image["state"] == "active";
        let image = images.iter().find(serving);
        assert!(image.is_some_and(|image| image["mapped"] == true), "{id}");
    }
    wait_until("every exchange to be over", || {
        world.upstream.requests().len() >= 91
    });
}
