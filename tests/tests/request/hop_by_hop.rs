//! What belongs to one connection and must not travel further.

use crate::corpus::{Forwarded, Stage, forwarded, passes, refused};

#[test]
fn connection_fields() {
    Stage::new().play(&[
        passes(
            "a listed field",
            "RFC 9110 7.6.1",
            get("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\n"),
            plain().with("x-b", "2"),
        ),
        passes(
            "several listed fields",
            "RFC 9110 7.6.1",
            get("Connection: x-a, , X-B\r\nConnection: x-c\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"),
            plain(),
        ),
        passes(
            "every copy of a listed field",
            "RFC 9110 7.6.1",
            get("X-A: 1\r\nConnection: x-a\r\nX-A: 2\r\n"),
            plain(),
        ),
        passes(
            "Keep-Alive and Proxy-Connection",
            "RFC 9110 7.6.1",
            get("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"),
            plain(),
        ),
        passes(
            "TE",
            "RFC 9110 10.1.4",
            get("TE: trailers\r\nConnection: TE\r\n"),
            plain().with("te", "trailers").with("connection", "te"),
        ),
        passes(
            "TE that Connection does not list",
            "RFC 9110 10.1.4",
            get("TE: trailers\r\n"),
            plain(),
        ),
        passes(
            "Proxy",
            "RFC 3875 4.1.18",
            get("Proxy: http://evil.test\r\n"),
            plain(),
        ),
        passes(
            "close",
            "RFC 9112 9.6",
            get("Connection: close\r\n"),
            plain().closes(),
        ),
        passes(
            "close among others",
            "RFC 9112 9.6",
            get("Connection: x-a, close\r\nX-A: 1\r\n"),
            plain().closes(),
        ),
        passes(
            "close in capitals",
            "RFC 9110 7.6.1",
            get("Connection: CLOSE\r\n"),
            plain().closes(),
        ),
    ]);
}

/// `Connection` must not list what is meant for every recipient (RFC 9110, 7.6.1), and attackers do it to take away what
/// a proxy adds.
#[test]
fn connection_cannot_remove_what_the_gateway_sets() {
    let body = || {
        forwarded("POST / HTTP/1.1")
            .with("host", "a.test")
            .with("content-length", "3")
            .body("abc")
    };
    Stage::new().play(&[
        passes("Host", "RFC 9110 7.6.1", get("Connection: host\r\n"), plain()),
        passes("forwarding fields", "RFC 9110 7.6.1", get("Connection: x-forwarded-for, x-forwarded-proto, x-forwarded-host\r\nX-Forwarded-For: 6.6.6.6\r\n"), plain().and_set("x-forwarded-for", "127.0.0.1").and_set("x-forwarded-proto", "http").and_set("x-forwarded-host", "a.test")),
        passes("X-Real-IP", "RFC 9110 7.6.1", get("Connection: x-real-ip\r\n"), plain().and_set("x-real-ip", "127.0.0.1")),
        passes("the request id", "RFC 9110 7.6.1", get("Connection: x-request-id\r\n"), plain()),
        passes("the length", "RFC 9110 7.6.1", "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc", body()),
        passes("the transfer coding", "RFC 9110 7.6.1", "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            forwarded("POST / HTTP/1.1").with("host", "a.test").with("transfer-encoding", "chunked").body("3\r\nabc\r\n0\r\n\r\n")),
        passes("all at once", "RFC 9110 7.6.1", get("Connection: x-forwarded-for, host, x-request-id, x-real-ip, connection\r\n"), plain().and_set("x-forwarded-for", "127.0.0.1")),
    ]);
}

#[test]
fn upgrades() {
    Stage::new().play(&[
        // One that is whole is passed on: tests/tunnel.
        refused("WebSocket, among others, and no handshake", "RFC 6455 4.2.1", get("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket, foo/2\r\n"), &[400]),
        passes("websocket that Connection does not list", "RFC 9110 7.8", get("Upgrade: websocket\r\n"), plain()),
        passes("h2c", "RFC 9110 7.8", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), plain()),
        passes("h2c that Connection does not list", "RFC 9113 3.1", get("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), plain()),
        passes("h2c with a body", "RFC 9110 7.8", "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
            forwarded("POST / HTTP/1.1").with("host", "a.test").with("content-length", "3").body("abc")),
        passes("something else", "RFC 9110 7.8", get("Connection: upgrade\r\nUpgrade: foo/1\r\n"), plain()),
    ]);
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

fn plain() -> Forwarded {
    forwarded("GET / HTTP/1.1").with("host", "a.test")
}
