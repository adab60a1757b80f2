//! Who the client is: forwarding fields are replaced when the peer is not trusted, and believed when it is.

use crate::corpus::{Forwarded, Stage, forwarded, passes};

#[test]
fn a_peer_that_is_not_trusted() {
    let own = || {
        plain()
            .and_set("x-forwarded-for", "127.0.0.1")
            .and_set("x-forwarded-proto", "http")
            .and_set("x-forwarded-host", "a.test")
            .and_set("x-real-ip", "127.0.0.1")
    };
    let stage = Stage::new();
    stage.play(&[
        passes("nothing said", "RFC 7239 5", get(""), own()),
        passes(
            "X-Forwarded-For",
            "RFC 7239 8.1",
            get("X-Forwarded-For: 6.6.6.6\r\n"),
            own(),
        ),
        passes(
            "X-Forwarded-For, repeated",
            "RFC 7239 8.1",
            get("X-Forwarded-For: 6.6.6.6\r\nX-FORWARDED-FOR: 7.7.7.7\r\n"),
            own(),
        ),
        passes(
            "X-Forwarded-Proto",
            "RFC 7239 8.1",
            get("X-Forwarded-Proto: https\r\n"),
            own(),
        ),
        passes(
            "X-Forwarded-Host",
            "RFC 7239 8.1",
            get("X-Forwarded-Host: evil.test\r\n"),
            own(),
        ),
        passes(
            "X-Real-IP",
            "RFC 7239 8.1",
            get("X-Real-IP: 6.6.6.6\r\n"),
            own(),
        ),
    ]);
    // What the gateway does not set itself is gone.
    let asked = "Forwarded: for=6.6.6.6;host=evil.test\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil\r\nX-Forwarded-Anything: 1\r\n";
    stage.gateway.client().send(get(asked)).expect_response();
    let request = stage.upstream.take_requests().remove(0);
    assert!(
        !request
            .headers
            .all("x-forwarded-port")
            .contains(&"443".to_owned())
    );
    for name in [
        "x-forwarded-prefix",
        "x-forwarded-server",
        "x-forwarded-anything",
    ] {
        assert_eq!(request.headers.all(name), Vec::<String>::new(), "{name}");
    }
    let forwarded = request.headers.all("forwarded").join(",");
    assert!(
        !forwarded.contains("6.6.6.6") && !forwarded.contains("evil"),
        "{forwarded}"
    );
}

#[test]
fn a_peer_that_is_trusted() {
    Stage::with("trusted_addresses: [127.0.0.0/8, 10.0.0.0/8]").play(&[
        passes(
            "nothing said",
            "RFC 7239 5",
            get(""),
            plain()
                .and_set("x-forwarded-for", "127.0.0.1")
                .and_set("x-real-ip", "127.0.0.1"),
        ),
        passes(
            "a client",
            "RFC 7239 5.2",
            get("X-Forwarded-For: 6.6.6.6\r\n"),
            plain()
                .and_set("x-forwarded-for", "6.6.6.6, 127.0.0.1")
                .and_set("x-real-ip", "6.6.6.6"),
        ),
        passes(
            "a client behind a trusted proxy",
            "RFC 7239 5.2",
            get("X-Forwarded-For: 6.6.6.6, 10.0.0.1\r\n"),
            plain()
                .and_set("x-forwarded-for", "6.6.6.6, 10.0.0.1, 127.0.0.1")
                .and_set("x-real-ip", "6.6.6.6"),
        ),
        // Read from the right, the first address that is not trusted is the client; what it said itself stands left of it.
        passes(
            "a client that lied",
            "RFC 7239 8.1",
            get("X-Forwarded-For: 9.9.9.9, 6.6.6.6, 10.0.0.1\r\n"),
            plain().and_set("x-real-ip", "6.6.6.6"),
        ),
        passes(
            "the scheme",
            "RFC 7239 5.4",
            get("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"),
            plain().and_set("x-forwarded-proto", "https"),
        ),
        passes(
            "the host",
            "RFC 7239 5.3",
            get("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: outside.test\r\n"),
            plain().and_set("x-forwarded-host", "outside.test"),
        ),
    ]);
}

#[test]
fn via_is_a_setting() {
    Stage::new().play(&[passes(
        "not set",
        "RFC 9110 7.6.3",
        get("Via: 1.0 before\r\n"),
        plain().and_set("via", "1.0 before"),
    )]);
    let stage = Stage::with("via: edge");
    stage
        .gateway
        .client()
        .send(get("Via: 1.0 before\r\n"))
        .expect_response();
    let request = stage.upstream.take_requests().remove(0);
    assert_eq!(
        request.headers.all("via").join(", "),
        "1.0 before, 1.1 edge"
    );
}

/// Two services that write the same log must be able to tell requests apart, so an id is never missing and never double.
#[test]
fn request_ids() {
    let stage = Stage::new();
    let mut client = stage.gateway.client();
    for fields in [
        "",
        "X-Request-Id: mine\r\n",
        "X-Request-Id: a\r\nX-Request-Id: b\r\n",
    ] {
        client.send(get(fields)).expect_response();
    }
    let requests = stage.upstream.take_requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.headers.get("x-request-id").expect("an id"))
        .collect();
    assert!(
        ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2],
        "{ids:?}"
    );
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

fn plain() -> Forwarded {
    forwarded("GET / HTTP/1.1").with("host", "a.test")
}
