//! What one can see of requests that were refused: why, by which rule, and nothing that could be a secret.

use serde_json::Value;
use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::{Connection, frame};
use swapgate_tests::{Client, Gateway, Upstream, wait_for};

use crate::{Stage, text};

/// The refused requests, the newest first, once the newest has this reason.
#[track_caller]
fn newest(gateway: &Gateway, reason: &str) -> Value {
    wait_for(&format!("a refused request: {reason}"), || {
        let document = gateway.admin("/refused").json();
        let newest = document["refused"][0].clone();
        (newest["reason"] == reason).then_some(newest)
    })
}

/// What is refused in HTTP/1.1: the request, the reason, the status, and its line as it is shown.
const REFUSED: [(&str, &str, u16, &str); 14] = [
    (
        "GET /a?key=secret HTTP/1.1\r\nCookie: secret\r\n\r\n",
        "host",
        400,
        "GET /a?key=*** HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: secret\r\n\r\n",
        "host",
        400,
        "GET / HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\nX-Key: secret\r\n\r\n0\r\n\r\n",
        "framing",
        400,
        "GET / HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1, 2\r\n\r\n",
        "parser",
        400,
        "GET / HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\nX-Key: secret\r\n\r\nsecret",
        "parser",
        400,
        "GET / HTTP/1.1",
    ),
    (
        "GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
        "parser",
        400,
        "GET /a b HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nX-Key : secret\r\n\r\n",
        "parser",
        400,
        "GET / HTTP/1.1",
    ),
    (
        "password=secret&user=me\r\n\r\n",
        "parser",
        400,
        "(27 bytes that are no request)",
    ),
    (
        "GET /%00 HTTP/1.1\r\nHost: test\r\n\r\n",
        "path",
        400,
        "GET /%00 HTTP/1.1",
    ),
    (
        "CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n",
        "upgrade",
        501,
        "CONNECT test:443 HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nExpect: something\r\n\r\n",
        "expectation",
        417,
        "GET / HTTP/1.1",
    ),
    (
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000\r\n\r\nsecret",
        "body_too_large",
        413,
        "POST / HTTP/1.1",
    ),
    (
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n",
        "body",
        400,
        "POST / HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1\r\nHost: test\r\nX_Key: secret\r\n\r\n",
        "header",
        400,
        "GET / HTTP/1.1",
    ),
];

const STRICT: &str = "limits: {body_bytes: 1000, uri_bytes: 1KiB, header_bytes: 8KiB}\nclient_headers: {underscores: reject}\nclient_timeouts: {header: 1s}";

#[test]
fn each_with_its_reason_and_without_secrets() {
    let stage = Stage::with(STRICT, "");
    let gateway = &stage.gateway;
    for (request, reason, status, line) in REFUSED {
        let mut client = gateway.client();
        let local = client.local_address();
        client.send(request);
        match client.read_response("GET") {
            Ok(answer) => assert_eq!(answer.status, status, "{request:?}"),
            Err(error) => panic!("{request:?}: {error}"),
        }
        drop(client);
        let seen = wait_for(&format!("{request:?} is seen"), || {
            let document = gateway.admin("/refused").json();
            let newest = document["refused"][0].clone();
            (newest["client"] == local.to_string()).then_some(newest)
        });
        assert_eq!(seen["reason"], reason, "{request:?}: {seen}");
        assert_eq!(seen["status"], status, "{seen}");
        assert_eq!(seen["request"]["line"], line, "{seen}");
        assert_eq!(seen["listener"], "public", "{seen}");
        assert!(
            seen["rule"]
                .as_str()
                .is_some_and(|rule| rule.starts_with("RFC ")),
            "{seen}"
        );
        assert!(
            seen["why"].as_str().is_some_and(|why| why.len() > 10),
            "{seen}"
        );
    }
    let all = gateway.admin("/refused").text();
    assert!(!all.contains("\"secret"), "{all}");
    assert!(!all.contains("=secret"), "{all}");
    for shown in [
        "Cookie: ***",
        "Authorization: ***",
        "Transfer-Encoding: gzip, chunked",
        "X-Key: ***",
    ] {
        assert!(all.contains(shown), "{shown}: {all}");
    }
    let metrics = gateway.metrics();
    let counted = |reason: &str| {
        let series = format!("swapgate_refused_requests_total{{reason=\"{reason}\"}}");
        metrics.value(&series)
    };
    assert_eq!((counted("host"), counted("parser")), (Some(2.0), Some(5.0)));
    assert_eq!(counted("flood"), Some(0.0));
}

#[test]
fn what_is_too_large_or_too_slow() {
    let stage = Stage::with(STRICT, "");
    let gateway = &stage.gateway;
    let long = "x".repeat(5000);
    assert_eq!(
        stage.one(format!("GET /{long} HTTP/1.1\r\nHost: test\r\n\r\n")),
        414
    );
    assert_eq!(newest(gateway, "target_too_long")["status"], 414);
    assert_eq!(
        stage.one(format!(
            "GET /{} HTTP/1.1\r\nHost: test\r\n\r\n",
            "x".repeat(50_000)
        )),
        414
    );
    assert_eq!(newest(gateway, "target_too_long")["status"], 414);
    let wide = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {long}\r\nY: {long}\r\n\r\n");
    assert_eq!(stage.one(wide), 431);
    let seen = newest(gateway, "head_too_large");
    assert_eq!(seen["status"], 431);
    assert_eq!(seen["request"]["line"], "GET / HTTP/1.1");
    assert_eq!(seen["request"]["cut"], true);
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\nCook");
    client.expect_closed();
    let seen = newest(gateway, "slow");
    assert_eq!(seen["status"], Value::Null);
    assert_eq!(seen["request"]["line"], "GET /slow HTTP/1.1");
    // TLS where none is spoken.
    let mut client = gateway.client();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    client.finish_sending();
    let _ = client.read_to_end();
    drop(client);
    let seen = newest(gateway, "parser");
    assert_eq!(seen["request"]["line"], "(a TLS handshake)");
}

#[test]
fn in_http2_as_far_as_it_is_known() {
    let stage = Stage::with(STRICT, "");
    let gateway = &stage.gateway;
    assert_eq!(
        stage.two("/a?key=secret", &[("host", "other"), ("cookie", "secret")]),
        400
    );
    let seen = newest(gateway, "host");
    assert_eq!(seen["protocol"], "HTTP/2");
    assert_eq!(seen["rule"], "RFC 9113, 8.3.1");
    assert_eq!(seen["request"]["line"], "GET /a?key=*** HTTP/2");
    let headers = seen["request"]["headers"].to_string();
    assert!(headers.contains("cookie: ***"), "{headers}");
    assert!(!headers.contains("x-forwarded"), "{headers}");
    // A stream that is reset: its head is malformed.
    let mut connection = Connection::open(gateway.address());
    let stream = connection.ask(&[&get("/")[..], &[("connection", "close")]].concat(), None);
    assert!(connection.answer(stream).expect("a reset").reset.is_some());
    assert_eq!(newest(gateway, "http2")["status"], Value::Null);
    // A connection that is ended: DATA on no stream.
    let mut connection = Connection::open(gateway.address());
    connection.send(frame::data(0, "x").encode());
    let _ = connection.until_closed();
    let seen = wait_for("the end of a connection is seen", || {
        let document = gateway.admin("/refused").json();
        let list = document["refused"].as_array().cloned().unwrap_or_default();
        list.into_iter()
            .find(|one| one["rule"] == "RFC 9113, 5.4.1")
    });
    assert_eq!(seen["reason"], "http2");
    // A flood.
    let mut connection = Connection::open(gateway.address());
    let pings = frame::ping(*b"floodnow").encode().repeat(100);
    while connection.try_send(&pings).is_ok() {}
    newest(gateway, "flood");
}

#[test]
fn what_plugins_and_routes_refuse_is_not_there() {
    let stage = Stage::with("", ", paths: [/here], methods: [GET]");
    let gateway = &stage.gateway;
    assert_eq!(gateway.get("/there").status, 404);
    let mut client = gateway.client();
    client.send("PUT /here HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.expect_response().status, 405);
    let document = gateway.admin("/refused").json();
    assert_eq!(document["refused"], serde_json::json!([]));
    assert_eq!(document["keeps"], 64);
}

#[test]
fn a_flood_of_bad_requests_is_counted_and_bounded() {
    let stage = Stage::with("", "");
    let gateway = &stage.gateway;
    let rounds = 300;
    for _ in 0..rounds {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.expect_response().status, 400);
    }
    let series = "swapgate_refused_requests_total{reason=\"host\"}";
    gateway.wait_for_metric(series, f64::from(rounds));
    let answer = gateway.admin("/refused");
    let document = answer.json();
    let kept = document["refused"].as_array().map_or(0, Vec::len);
    assert!(kept <= 64, "{kept}");
    assert!(answer.body.len() < 64 * 4096, "{}", answer.body.len());
}

#[test]
fn the_admin_token_guards_it_and_none_may_be_kept() {
    let upstream = Upstream::echo();
    let whole = format!(
        "\
format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\", token: \"a-token-of-some-length\", refused: 0}}
plugins_dir: plugins.d
state_dir: state
{}",
        text("", "")
    );
    let gateway = Gateway::with_whole(&whole)
        .set("up", upstream.address())
        .start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.expect_response().status, 400);
    assert_eq!(gateway.admin("/refused").status, 401);
    let mut client = Client::connect(gateway.admin_address());
    client.send("GET /refused HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer a-token-of-some-length\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["refused"], serde_json::json!([]));
}

#[test]
fn a_page_of_a_browser_cannot_read_it() {
    let stage = Stage::with("", "");
    for (host, status) in [
        ("127.0.0.1", 200),
        ("localhost:8001", 200),
        ("evil.example", 421),
    ] {
        let mut client = Client::connect(stage.gateway.admin_address());
        client.send(format!("GET /refused HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.expect_response().status, status, "{host}");
    }
}
