//! Plugins see the handshake, and nothing of what follows.

use std::fs;

use serde_json::Value;
use swapgate_tests::h2::connection::Connection;
use swapgate_tests::h2::frame;
use swapgate_tests::h2::pack;
use swapgate_tests::{Gateway, Upstream, eventually};

use super::{CONFIG, ECHO, OPEN, agreeing, echo, expect_echo, opened};

fn with(plugins: &str, library: &str, upstream: &Upstream) -> Gateway {
    Gateway::with(&format!("{CONFIG}plugins: [{plugins}]\n"))
        .set("up", upstream.address())
        .plugin(library)
        .start()
}

#[test]
fn who_is_refused_in_access_changes_nothing_over() {
    let upstream = agreeing(echo);
    let gateway = with(
        "{name: key-auth, config: {header: x-api-key, keys: [{key: secret-secret-secret, consumer: alice}]}}",
        "key_auth",
        &upstream,
    );
    let mut client = gateway.client();
    client.send(ECHO);
    assert_eq!(client.expect_response().status, 401);
    assert!(upstream.requests().is_empty());
    client.send(ECHO.replace("\r\n\r\n", "\r\nx-api-key: secret-secret-secret\r\n\r\n"));
    super::expect_agreed(&mut client);
    expect_echo(&mut client, "hello");
}

#[test]
fn a_header_filter_changes_the_head_of_the_agreement() {
    let upstream = agreeing(echo);
    let gateway = with(
        "{name: headers, config: {request: {set: {x-asked: yes}}, response: {set: {x-agreed: yes}}}}",
        "headers",
        &upstream,
    );
    let mut client = gateway.client();
    client.send(ECHO);
    let head = client.read_head().expect("an answer");
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains("x-agreed: yes\r\n"),
        "{head}"
    );
    assert_eq!(
        upstream.requests()[0].headers.get("x-asked").as_deref(),
        Some("yes")
    );
    expect_echo(&mut client, "hello");
}

#[test]
fn a_header_filter_that_fails_agrees_to_nothing() {
    let upstream = agreeing(echo);
    let gateway = with(
        "{name: faulty, config: {header_filter: refuse}}",
        "faulty",
        &upstream,
    );
    // What says of itself that it is gRPC is told of failures in an answer of success; not so here.
    for kind in ["text/plain", "application/grpc"] {
        let mut connection = Connection::open(gateway.address());
        let stream = connection.next_stream();
        let fields = [
            (":method", "CONNECT"),
            (":protocol", "echo/1"),
            (":scheme", "http"),
            (":authority", "a.test"),
            (":path", "/x"),
            ("content-type", kind),
        ];
        connection.send(frame::headers(stream, pack::block(&fields)).encode());
        connection
            .until(|seen| seen.is_over(stream))
            .expect("an end");
        assert_eq!(connection.seen().answer(stream).status, 500, "{kind}");
    }
    eventually!(upstream.open_connections() == 0);
}

#[test]
fn one_line_of_the_log_tells_all_of_it() {
    let upstream = agreeing(echo);
    let gateway = Gateway::with(&format!(
        "{CONFIG}plugins: [{{name: access-log, config: {{output: {{file: \"@log@\"}}}}}}]\n"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let gateway = gateway
        .set("up", upstream.address())
        .set("log", path.to_str().expect("a path in UTF-8"))
        .plugin("access_log")
        .start();
    let mut client = opened(&gateway);
    for _ in 0..10 {
        expect_echo(&mut client, "12345");
    }
    assert_eq!(gateway.metrics().value(OPEN), Some(1.0));
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        "",
        "not before the end"
    );
    drop(client);
    eventually!(fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n')));
    let text = fs::read_to_string(&path).expect("a file");
    let line: Value = serde_json::from_str(text.trim_end()).expect("one line");
    assert_eq!(line["status"], 101, "{line}");
    assert_eq!(line["request_bytes"], 50, "{line}");
    assert_eq!(line["response_bytes"], 50, "{line}");
}
