//! Nobody gets more into a head than the fields that belong there: not a plugin, not an upstream, not the path of a request.

use std::fs;

use swapgate_tests::h2::Connection;
use swapgate_tests::{Client, Gateway, Upstream, artifacts};

use crate::put;

/// The plugin that tries it in every way there is.
fn splitter() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugin.so");
    let source = artifacts::root().join("tests/tests/hardening/splitter.c");
    artifacts::c_plugin(&source, &file, &["-Wall", "-Wextra", "-Werror"]);
    fs::read(file).expect("it was compiled")
}

/// No line of these heads was smuggled in.
#[track_caller]
fn is_whole(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let smuggled = text
        .lines()
        .find(|line| line.trim_start().starts_with("x-evil"));
    assert_eq!(smuggled, None, "{text}");
    let bare = text.replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n', '\0']), "{text:?}");
}

/// Redirects and rewrites made of what the client sent, a cookie that holds a client to a target, a name in `Via`, an answer of the
/// route itself.
const CONFIG: &str = "\
workers: 1
via: gateway
trusted_addresses: [127.0.0.1]
upstreams:
  - {name: up, targets: [{address: \"@up@\"}]}
  - {name: sticky, targets: [{address: \"@up@\"}], sticky: {cookie: held}}
services: [{name: up, upstream: up}, {name: sticky, upstream: sticky}]
routes:
  - {name: moved, paths: [\"/moved/{to}\"], redirect: {status: 302, location: \"https://{$host}/new/{to}{$query}\"}}
  - {name: shown, paths: [\"~/shown/(?<to>.*)$\"], redirect: {status: 302, location: \"/new/{to}\"}}
  - {name: rewritten, service: up, paths: [\"/rewritten/{to}\"], rewrite_path: \"/new/{to}\"}
  - {name: sticky, service: sticky, paths: [/sticky]}
  - {name: told, paths: [/told], respond: {status: 200, headers: {x-told: \"a b\"}, body: hello}}
  - {name: all, service: up}
";

fn world(plugins: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!("{CONFIG}{plugins}"))
        .set("up", upstream.address())
        .plugin_bytes("libsplitter.so", &splitter())
        .start();
    (gateway, upstream)
}

#[test]
fn plugins_set_fields_and_nothing_more() {
    let (gateway, upstream) = world("plugins: [{name: splitter}]\n");
    for path in ["/", "/told", "/moved/a", "/sticky"] {
        let mut client = gateway.client();
        let answer = client.get(path);
        assert!(matches!(answer.status, 200 | 302), "{path}: {answer:?}");
        is_whole(&answer.head);
        assert_eq!(answer.header("x-worked").as_deref(), Some("0"), "{path}");
        assert_ne!(answer.text(), "evil");
        let mut connection = Connection::open(gateway.address());
        let answer = connection.get(path).expect("an answer");
        assert_eq!(
            answer.headers.get("x-worked").as_deref(),
            Some("0"),
            "{path}"
        );
        assert_eq!(answer.headers.get("x-evil"), None);
    }
    let mut client = gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, x-worked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n",
    );
    assert_eq!(client.expect_response().status, 200);
    let mut connection = Connection::open(gateway.address());
    let stream = put(&mut connection, "/", b"a", &[("x-sum", "1")]);
    assert_eq!(connection.answer(stream).expect("an answer").status, 200);
    let requests = upstream.take_requests();
    assert_eq!(requests.len(), 6);
    for request in requests {
        is_whole(&request.head);
        is_whole(&request.raw_body);
        assert_eq!(
            request.headers.all("x-worked"),
            ["0", "0"],
            "{}",
            request.line()
        );
    }
}

#[test]
fn what_a_client_writes_into_a_path_stays_one_value() {
    let (gateway, upstream) = world("");
    for evil in [
        "%0d%0ax-evil:%201",
        "%0D%0A%0D%0Aevil",
        "%0ax-evil:1",
        "%00",
        "a%0d",
        "%250d%250ax-evil:1",
        "%E5%98%8A%E5%98%8Dx-evil:1",
    ] {
        for path in ["/moved/", "/shown/", "/rewritten/"] {
            let mut client = gateway.client();
            client.send(format!(
                "GET {path}{evil}?q={evil} HTTP/1.1\r\nHost: test\r\n\r\n"
            ));
            let answer = client.expect_response();
            is_whole(&answer.head);
            assert!(
                matches!(answer.status, 200 | 302 | 400),
                "{path}{evil}: {answer:?}"
            );
            if let Some(location) = answer.header("location") {
                assert!(location.contains("/new/"), "{location}");
            }
            let mut connection = Connection::open(gateway.address());
            let answer = connection.get(&format!("{path}{evil}?q={evil}"));
            assert_eq!(answer.expect("an answer").headers.get("x-evil"), None);
        }
    }
    for request in upstream.take_requests() {
        is_whole(&request.head);
        assert!(request.target.starts_with("/new/"), "{}", request.line());
    }
}

#[test]
fn forwarded_values_and_cookies_stay_one_value() {
    let (gateway, upstream) = world("");
    // What a trusted proxy says is believed, and is a value all the same.
    for (name, value) in [
        ("X-Request-Id", "a b\tc"),
        ("X-Request-Id", "\u{e4}"),
        ("X-Forwarded-For", "192.0.2.1,\tx-evil: 1"),
        ("X-Forwarded-Host", "a, x-evil: 1"),
        ("Cookie", "held=\"x-evil: 1\""),
        ("Cookie", "held=%0d%0ax-evil:1"),
    ] {
        let mut client = gateway.client();
        client.send(format!(
            "GET /sticky HTTP/1.1\r\nHost: test\r\n{name}: {value}\r\n\r\n"
        ));
        let answer = client.expect_response();
        assert_eq!(answer.status, 200, "{name}: {value}");
        is_whole(&answer.head);
        let cookie = answer.header("set-cookie").unwrap_or_default();
        assert!(!cookie.contains("x-evil"), "{cookie}");
        let request = upstream.take_requests().remove(0);
        is_whole(&request.head);
        let id = request.headers.get("x-request-id").expect("it has one");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
    }
    // Control bytes in a value are refused before anybody could pass them on.
    for evil in [
        "a\rx-evil: 1",
        "a\0",
        "a\r\r\nx-evil: 1",
        "a\r\n x-evil: 1",
        "a\x7f",
    ] {
        let mut client = gateway.client();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Host: {evil}\r\n\r\n"
        ));
        assert_eq!(client.expect_response().status, 400, "{evil:?}");
        assert!(upstream.take_requests().is_empty());
    }
}

#[test]
fn upstreams_answer_fields_and_nothing_more() {
    for field in [
        "x-a: a\rx-evil: 1",
        "x-a: a\0x-evil: 1",
        "x-a: a\r\n x-evil: 1",
        "x-a\rx-evil: 1",
        "x-a : 1",
        "x a: 1",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{field}\r\n\r\nok");
        let upstream = Upstream::fixed(answer);
        let gateway = Gateway::with(CONFIG).set("up", upstream.address()).start();
        let mut client = gateway.client();
        let answer = client.get("/");
        assert_eq!(answer.status, 502, "{field:?}: {answer:?}");
        is_whole(&answer.head);
    }
    // A reason is for people, and of this gateway's own.
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\tx-evil: 1\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Gateway::with(CONFIG).set("up", upstream.address()).start();
    let answer = Client::connect(gateway.address()).get("/");
    assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
}

#[test]
fn files_of_the_operator_are_checked_as_well() {
    for (what, bad) in [
        (
            "respond",
            "routes: [{name: a, paths: [/], respond: {status: 200, headers: {x-a: \"a\\r\\nx-evil: 1\"}}}]\n",
        ),
        (
            "a name",
            "routes: [{name: a, paths: [/], respond: {status: 200, headers: {\"x-a\\r\\nx-evil\": \"1\"}}}]\n",
        ),
        (
            "via",
            "via: \"a\\r\\nx-evil: 1\"\nroutes: [{name: a, paths: [/], respond: {status: 200}}]\n",
        ),
        (
            "location",
            "routes: [{name: a, paths: [/], redirect: {status: 302, location: \"/a\\r\\nx-evil: 1\"}}]\n",
        ),
    ] {
        let refusal = Gateway::with(bad).start_refused();
        assert_eq!(refusal.code, Some(2), "{what}: {}", refusal.stderr);
    }
}
