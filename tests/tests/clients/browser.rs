//! A page in a real browser, over TLS and HTTP/2: an event stream and WebSockets through the gateway, with plugins.

use serde_json::{Value, json};
use swapgate_tests::browser::Browser;
use swapgate_tests::{Python, Received, wait_for};

use crate::events;
use crate::world::{HEADERS, KEY_AUTH, Way, World};

const PAGE: &str = include_str!("page.html");

/// A browser sets no headers on event streams and WebSockets, so the key stands in the query.
const KEY_IN_QUERY: &str =
    "{name: key-auth, config: {query: key, keys: [{key: key-of-alice, consumer: alice}]}}";

fn page_or_report(request: &Received) -> Vec<u8> {
    match (&*request.method, &*request.target) {
        ("GET", "/") => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{PAGE}",
            PAGE.len()
        )
        .into(),
        ("POST", "/report") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    }
}

#[test]
fn shows_a_page_with_an_event_stream_and_websockets() {
    let upstream = events::upstream(page_or_report);
    let sockets = Python::script("websocket_server.py").serve();
    let world = World::with(
        "upstreams:
  - {name: pages, targets: [{address: \"@pages@\"}]}
  - {name: sockets, targets: [{address: \"@sockets@\"}]}
services: [{name: pages, upstream: pages}, {name: sockets, upstream: sockets}]
routes:
  - {name: pages, service: pages, plugins: [@headers@]}
  - {name: events, service: pages, paths: [/events], plugins: [@key@]}
  - {name: sockets, service: sockets, paths: [/ws], strip_path: true, plugins: [@key@, @headers@]}
  - {name: closed, service: pages, paths: [/closed], plugins: [@key-in-header@, @headers@]}
",
    )
    .set("pages", upstream.address())
    .set("sockets", sockets.address())
    .set("key", KEY_IN_QUERY)
    .set("key-in-header", KEY_AUTH)
    .set("headers", HEADERS)
    .start();
    let browser = Browser::open(
        &world.url(Way::Http2Tls, "/"),
        world.address(Way::Http2Tls).ip(),
        &world.pair,
    );
    let report: Value = wait_for("the report of the page", || {
        let requests = upstream.requests();
        let report = requests.iter().find(|request| request.target == "/report");
        report.map(|request| serde_json::from_slice(&request.body).expect("JSON"))
    });
    drop(browser);

    let numbers: Vec<String> = (1..=events::COUNT)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(report["events"], json!(numbers), "{report}");
    // The page itself, and whatever it fetched.
    assert_eq!(report["page"], "h2", "{report}");
    assert_eq!(report["fetched"], json!(["h2"]), "{report}");
    // What plugins say reaches the page, also of a request that one of them refused.
    assert_eq!(report["closed"], json!([401, "of the page"]), "{report}");

    let head = &report["head"];
    assert_eq!(head["target"], "/head?key=key-of-alice", "{report}");
    let headers = head["headers"].as_array().expect("a list");
    for expected in [
        json!(["x-consumer", "alice"]),
        json!(["x-forwarded-proto", "https"]),
    ] {
        assert!(headers.contains(&expected), "{report}");
    }
    assert_eq!(
        report["messages"],
        json!(["text ä", [0, 255], 1_000_000]),
        "{report}"
    );
    assert_eq!(report["subprotocol"], "chat");
    assert_eq!(report["ended"], json!([4001, "as asked", true]), "{report}");
    // A WebSocket without a key is one that never opened.
    assert_eq!(report["refused"], json!([1006, false]), "{report}");
}
