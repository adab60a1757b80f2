//! Too many fields, too long a head, too large a body; and clients that ask before they send.

use swapgate_tests::upstream::Upstream;
use swapgate_tests::{Client, Gateway};

use crate::corpus::{Forwarded, Stage, forwarded, passes, refused};

const LIMITS: &str = "limits: {header_bytes: 16KiB, headers: 20, body_bytes: 1000}";

#[test]
fn heads() {
    let fields = |count: usize| -> String {
        let fields = (0..count).map(|number| format!("X-{number}: 1\r\n"));
        fields.collect()
    };
    let long = |length: usize| format!("X-Long: {}\r\n", "x".repeat(length));
    Stage::with(LIMITS).play(&[
        refused("one field too many", "RFC 6585 5", get(&fields(20)), &[431]),
        refused(
            "far too many fields",
            "RFC 6585 5",
            get(&fields(1500)),
            &[431],
        ),
        refused("too long a field", "RFC 6585 5", get(&long(20_000)), &[431]),
        refused(
            "too long a head of short fields",
            "RFC 6585 5",
            get(&long(1000).repeat(18)),
            &[431],
        ),
        refused(
            "a head without an end",
            "RFC 6585 5",
            format!(
                "GET / HTTP/1.1\r\nHost: a.test\r\nX: {}",
                "x".repeat(100_000)
            ),
            &[431],
        ),
        refused(
            "too long a target",
            "RFC 9110 15.5.15",
            format!(
                "GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n",
                "x".repeat(80_000)
            ),
            &[414],
        ),
    ]);
    let stage = Stage::with(LIMITS);
    for fields in [fields(19), long(12_000)] {
        let answer = stage.gateway.client().send(get(&fields)).expect_response();
        assert_eq!(answer.status, 200, "within the limits");
    }
}

#[test]
fn bodies() {
    let chunks = |count: usize| {
        let chunks = format!("64\r\n{}\r\n", "x".repeat(100)).repeat(count);
        format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )
    };
    let sized = |length: usize, sent: usize| {
        let body = "x".repeat(sent);
        format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let stage = Stage::with(LIMITS);
    stage.play(&[
        refused(
            "a length over the limit",
            "RFC 9110 15.5.14",
            sized(1001, 1001),
            &[413],
        ),
        refused(
            "a length over the limit, nothing sent",
            "RFC 9110 15.5.14",
            sized(1001, 0),
            &[413],
        ),
        refused(
            "a huge length",
            "RFC 9110 15.5.14",
            sized(9_000_000_000, 10),
            &[413],
        ),
        refused(
            "chunks over the limit",
            "RFC 9110 15.5.14",
            chunks(11),
            &[413],
        ),
        refused(
            "chunks far over the limit",
            "RFC 9110 15.5.14",
            chunks(5000),
            &[413],
        ),
    ]);
    for request in [chunks(10), sized(1000, 1000)] {
        let answer = stage.gateway.client().send(request).expect_response();
        assert_eq!(answer.status, 200, "within the limit");
    }
}

#[test]
fn a_route_has_a_limit_of_its_own() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(
        "\
limits: {body_bytes: 10}
upstreams: [{name: echo, targets: [{address: \"@echo@\"}]}]
services: [{name: echo, upstream: echo}]
routes:
  - {name: large, service: echo, paths: [/large], body_bytes: 100}
  - {name: all, service: echo}
",
    )
    .set("echo", upstream.address())
    .start();
    let post = |path: &str, length: usize| {
        let body = "x".repeat(length);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        gateway.client().send(request).expect_response().status
    };
    assert_eq!((post("/", 10), post("/", 11)), (200, 413));
    assert_eq!((post("/large", 100), post("/large", 101)), (200, 413));
}

#[test]
fn clients_that_ask_before_they_send() {
    let stage = Stage::with(LIMITS);
    let mut client = stage.gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(read_interim(&mut client), "HTTP/1.1 100 Continue\r\n\r\n");
    let answer = client.send("abc").expect_response();
    assert_eq!(answer.json()["body"], "abc");
    assert_eq!(stage.upstream.take_requests().len(), 1);

    stage.play(&[
        refused("too much is refused before it is sent", "RFC 9110 10.1.1",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n", &[413]),
        passes("without a body nothing is waited for", "RFC 9110 10.1.1", get("Expect: 100-continue\r\n"), plain()),
    ]);
}

/// Reads an interim answer as it stands: the final one is not asked for yet.
fn read_interim(client: &mut Client) -> String {
    let head = client.read_head().expect("an interim answer");
    String::from_utf8(head).expect("a head is text")
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

fn plain() -> Forwarded {
    forwarded("GET / HTTP/1.1").with("host", "a.test")
}
