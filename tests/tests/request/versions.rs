//! Versions of HTTP, and how long their connections live.

use crate::corpus::{Forwarded, Stage, forwarded, passes, refused};

#[test]
fn versions() {
    Stage::new().play(&[
        passes(
            "HTTP/1.0",
            "RFC 9112 9.3",
            "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
            plain().closes(),
        ),
        passes(
            "HTTP/1.0 that keeps alive",
            "RFC 9112 C.2.2",
            "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
            plain(),
        ),
        passes(
            "HTTP/1.1 that says keep-alive",
            "RFC 9112 9.3",
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
            plain(),
        ),
        passes(
            "HTTP/1.0 with a body",
            "RFC 9112 6.3",
            "POST / HTTP/1.0\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc",
            forwarded("POST / HTTP/1.1")
                .with("host", "a.test")
                .with("content-length", "3")
                .body("abc")
                .closes(),
        ),
        refused("HTTP/0.9", "RFC 9112 3", "GET /\r\n\r\n", &[400]),
        // hyper answers 400 to every version it cannot parse, where RFC 9110, 15.6.6 suggests 505.
        refused(
            "HTTP/1.2",
            "RFC 9110 2.5",
            "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n",
            &[400, 505],
        ),
        refused(
            "HTTP/2.0",
            "RFC 9110 15.6.6",
            "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n",
            &[400, 505],
        ),
        refused(
            "HTTP/1.10",
            "RFC 9112 2.3",
            "GET / HTTP/1.10\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "http/1.1",
            "RFC 9112 2.3",
            "GET / http/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "HTTP/01.1",
            "RFC 9112 2.3",
            "GET / HTTP/01.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
    ]);
}

/// HTTP/1.0 knows no `Host`, but the upstream is asked in HTTP/1.1, which does (RFC 9112, 3.2).
#[test]
fn http_1_0_without_host() {
    let stage = Stage::new();
    let answer = stage
        .gateway
        .client()
        .send("GET /old HTTP/1.0\r\n\r\n")
        .expect_response();
    assert_eq!(answer.status, 200);
    let requests = stage.upstream.take_requests();
    assert_eq!(requests[0].headers.all("host").len(), 1);
}

/// A client of HTTP/1.0 knows no chunks: an answer of unknown length ends with the connection.
#[test]
fn an_answer_without_length_to_http_1_0() {
    use swapgate_tests::{Gateway, Upstream};
    let upstream = Upstream::fixed(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    let gateway = Gateway::with(
        "\
upstreams: [{name: fixed, targets: [{address: \"@fixed@\"}]}]
services: [{name: fixed, upstream: fixed}]
routes: [{name: all, service: fixed}]
",
    )
    .set("fixed", upstream.address())
    .start();
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut client = gateway.client();
        client.send(format!(
            "GET / HTTP/1.0\r\nHost: a.test\r\n{connection}\r\n"
        ));
        let answer = client.expect_response();
        assert_eq!(
            answer.headers.all("transfer-encoding"),
            Vec::<String>::new()
        );
        assert_eq!(answer.text(), "abc");
    }
}

fn plain() -> Forwarded {
    forwarded("GET / HTTP/1.1").with("host", "a.test")
}
