//! Answers that have no body, by their status or because a head was asked for, whoever says otherwise (RFC 9110, 6.4.1 and
//! 8.6; RFC 9113, 8.1.1). Clients of HTTP/1.1 are told the same.

use std::fs;

use swapgate_tests::h2::Connection;
use swapgate_tests::{Gateway, Received, Upstream, artifacts};

fn said(request: &Received) -> Vec<u8> {
    let line = request.line();
    let answer: &[u8] = match line.split(' ').nth(1) {
        Some("/their/204") => b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        Some("/their/304") => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Some("/head") if line.starts_with("HEAD") => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        }
        _ => b"HTTP/1.1 500 Unexpected\r\nContent-Length: 0\r\n\r\n",
    };
    answer.to_vec()
}

fn gateway(upstream: &Upstream) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.so");
    let source = artifacts::root().join("tests/tests/http2/bodiless.c");
    artifacts::c_plugin(&source, &file, &[]);
    Gateway::with(
        "\
workers: 1
plugins: [{name: bodiless}]
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes: [{name: all, service: s}]
",
    )
    .set("up", upstream.address())
    .plugin_bytes("libbodiless.so", &fs::read(file).unwrap())
    .start()
}

/// Asked for, and what is told: the status and the length.
const CASES: [(&str, &str, u16, Option<&str>); 6] = [
    ("GET", "/own/204", 204, None),
    ("GET", "/own/304", 304, None),
    ("GET", "/their/204", 204, None),
    ("GET", "/their/304", 304, Some("5")),
    ("GET", "/head", 200, None),
    ("HEAD", "/head", 200, Some("100")),
];

#[test]
fn over_http_2() {
    let upstream = Upstream::answering(said);
    let gateway = gateway(&upstream);
    let mut connection = Connection::open(gateway.address());
    for (method, path, status, length) in CASES {
        let fields = swapgate_tests::h2::connection::request(method, path);
        let stream = connection.ask(&fields, None);
        let answer = connection.answer(stream).unwrap();
        let told = answer.headers.get("content-length");
        assert_eq!(
            (
                answer.status,
                told.as_deref(),
                &answer.body[..],
                answer.reset
            ),
            (status, length, &b""[..], None),
            "{method} {path}"
        );
    }
}

#[test]
fn over_http_1_1() {
    let upstream = Upstream::answering(said);
    let gateway = gateway(&upstream);
    let mut client = gateway.client();
    for (method, path, status, length) in CASES {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let answer = client.read_response(method).unwrap();
        let length = match (status, length) {
            // There is no other end of an answer than its length that the connection outlives.
            (200, None) => Some("0"),
            // hyper says none with it, as it may.
            (304, _) => None,
            (_, length) => length,
        };
        assert_eq!(
            (
                answer.status,
                answer.header("content-length").as_deref(),
                &answer.body[..]
            ),
            (status, length, &b""[..]),
            "{method} {path}"
        );
    }
}
