//! What a copy is, and of which requests there is one.

use swapgate_tests::h2::Connection;
use swapgate_tests::{Gateway, Upstream, eventually};

use super::{ask, count, counted, mirrored, post, series, told};

fn world(route: &str, mirror: &str) -> (Upstream, Upstream, Gateway) {
    let (primary, shadow) = (Upstream::echo(), Upstream::echo());
    let gateway = mirrored(&primary, shadow.address(), route, mirror).start();
    (primary, shadow, gateway)
}

/// Waits for the copies of everything the primary got so far; both in the order of their targets.
#[track_caller]
fn same(primary: &Upstream, shadow: &Upstream, requests: usize) {
    primary.wait_for_requests(requests);
    shadow.wait_for_requests(requests);
    let (mut originals, mut copies) = (primary.take_requests(), shadow.take_requests());
    originals.sort_by(|a, b| a.target.cmp(&b.target));
    copies.sort_by(|a, b| a.target.cmp(&b.target));
    assert_eq!(copies.len(), requests);
    for (original, copy) in originals.iter().zip(&copies) {
        assert_eq!(told(original), told(copy));
    }
    for (requests, upstream) in [(&originals, primary), (&copies, shadow)] {
        for request in requests {
            let host = request.headers.get("host");
            assert_eq!(host, Some(upstream.address().to_string()));
        }
    }
}

#[test]
fn method_target_headers_and_body_are_the_same() {
    let (primary, shadow, gateway) = world("", "");
    let large = vec![b'x'; 64 * 1024];
    let requests: [Vec<u8>; 9] = [
        b"GET /1?a=1&b=%20 HTTP/1.1\r\nHost: test\r\nX-A: 1\r\nx-a: 2\r\n\r\n".into(),
        b"DELETE /2 HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        post("/3", b"hello"),
        post("/4", &large),
        post("/5", b""),
        b"PUT /6 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".into(),
        b"PUT /7 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        b"GET /8 HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody".into(),
        b"OPTIONS /9 HTTP/1.1\r\nHost: test\r\n\r\n".into(),
    ];
    for (count, request) in (1_u32..).zip(&requests) {
        assert_eq!(ask(&gateway, request).status, 200);
        // A copy that comes while another one is under way would take a connection of its own.
        gateway.wait_for_metric(&series("sent"), f64::from(count));
    }
    same(&primary, &shadow, requests.len());
    assert_eq!(
        (primary.connections(), shadow.connections()),
        (1, 1),
        "connections are kept"
    );
    gateway.wait_for_metric(&series("sent"), 9.0);
    assert_eq!(counted(&gateway), 9);
}

#[test]
fn trailers_are_copied() {
    let (primary, shadow, gateway) = world("", "");
    let request = "POST /t HTTP/1.1\r\nHost: test\r\nTrailer: x-sum\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n";
    assert_eq!(ask(&gateway, request).status, 200);
    shadow.wait_for_requests(1);
    let raw = |upstream: &Upstream| upstream.requests()[0].raw_body.clone();
    assert_eq!(
        String::from_utf8_lossy(&raw(&shadow)),
        String::from_utf8_lossy(&raw(&primary))
    );
}

#[test]
fn a_client_of_http2_is_copied_as_well() {
    let (primary, shadow, gateway) = world("", "");
    let mut client = Connection::open(gateway.address());
    for (path, body) in [("/1", None), ("/2", Some(&b"a body"[..]))] {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "test"),
            (":path", path),
            ("x-a", "1"),
        ];
        let stream = client.ask(&fields, body);
        assert_eq!(client.answer(stream).unwrap().status, 200);
    }
    same(&primary, &shadow, 2);
}

#[test]
fn the_host_of_the_client_stays_where_the_route_keeps_it() {
    let (primary, shadow, gateway) = world("preserve_host: true, ", "");
    assert_eq!(gateway.get("/").status, 200);
    shadow.wait_for_requests(1);
    for upstream in [&primary, &shadow] {
        let host = upstream.requests()[0].headers.get("host");
        assert_eq!(host.as_deref(), Some("test"));
    }
}

/// The path that is rewritten and the header that a plugin sets are what the primary gets, and so its copy; plugins run
/// once, and the copy is no exchange.
#[test]
fn a_copy_is_what_the_primary_gets() {
    let (primary, shadow) = (Upstream::echo(), Upstream::echo());
    let route =
        "paths: [/api], strip_path: true, plugins: [{name: stamp, config: {}}], ".to_owned();
    let gateway = mirrored(&primary, shadow.address(), &route, "")
        .plugin("stamp")
        .start();
    for _ in 0..5 {
        assert_eq!(ask(&gateway, post("/api/x", b"abc")).status, 200);
    }
    same(&primary, &shadow, 5);
    gateway.wait_for_metric(&series("sent"), 5.0);
    let exchanges = "swapgate_requests_total{route=\"all\",service=\"s\",status=\"200\"}";
    gateway.wait_for_metric(exchanges, 5.0);
    let attempts = format!(
        "swapgate_upstream_attempts_total{{upstream=\"shadow\",target=\"{}\",outcome=\"ok\"}}",
        shadow.address()
    );
    assert_eq!(gateway.metrics().value(&attempts), Some(5.0));
}

#[test]
fn so_many_percent_are_copied_exactly() {
    let (primary, shadow, gateway) = world("", ", percent: 25");
    let mut client = gateway.client();
    for _ in 0..400 {
        assert_eq!(client.get("/").status, 200);
    }
    gateway.wait_for_metric(&series("sent"), 100.0);
    assert_eq!(primary.requests().len(), 400);
    assert_eq!(shadow.requests().len(), 100);
    assert_eq!(counted(&gateway), 100);
}

/// A body of so many bytes is copied, one of a byte more is not, whether or not its length is said.
#[test]
fn a_body_that_is_too_large_is_not_copied() {
    let (primary, shadow, gateway) = world("", ", body_bytes: 1000");
    let chunked = |path: &str, length: usize| {
        let half = "x".repeat(length / 2);
        let rest = "y".repeat(length - length / 2);
        format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            half.len(),
            rest.len()
        )
    };
    assert_eq!(ask(&gateway, post("/fits", &[b'x'; 1000])).status, 200);
    assert_eq!(ask(&gateway, chunked("/fits", 1000)).status, 200);
    assert_eq!(ask(&gateway, post("/large", &[b'x'; 1001])).status, 200);
    assert_eq!(ask(&gateway, chunked("/large", 1001)).status, 200);
    let huge = post("/large", &vec![b'x'; 4 << 20]);
    assert_eq!(ask(&gateway, huge).status, 200);
    gateway.wait_for_metric(&series("sent"), 2.0);
    gateway.wait_for_metric(&series("dropped_body"), 3.0);
    assert_eq!(primary.requests().len(), 5);
    let copies = shadow.requests();
    assert!(copies.iter().all(|copy| copy.target == "/fits"));
    assert_eq!(copies.len(), 2);
}

/// The client breaks off inside its body: there is nothing whole to copy.
#[test]
fn half_a_body_is_not_copied() {
    let (primary, shadow, gateway) = world("", "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    eventually!(primary.connections() == 1);
    client.reset();
    gateway.wait_for_metric(&series("dropped_body"), 1.0);
    assert_eq!(shadow.connections(), 0);
    assert_eq!(gateway.get("/").status, 200);
    gateway.wait_for_metric(&series("sent"), 1.0);
}

#[test]
fn connections_that_change_over_are_not_copied() {
    let primary = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
        )?;
        conversation.until_closed();
        Ok(())
    });
    let shadow = Upstream::echo();
    let gateway = mirrored(&primary, shadow.address(), "upgrades: [other], ", "").start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n");
    let head = client.read_head().expect("the connection changes over");
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(counted(&gateway), 0);
    assert_eq!(shadow.connections(), 0);
}

/// A small answer is read away and its connection used again; of a large one the connection is closed.
#[test]
fn the_answer_is_thrown_away() {
    let primary = Upstream::echo();
    let shadow = Upstream::answering(|request| {
        let length = if request.target == "/large" {
            4 << 20
        } else {
            64 * 1024
        };
        let head = format!("HTTP/1.1 500 Oh\r\ncontent-length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; length]].concat()
    });
    let gateway = mirrored(&primary, shadow.address(), "", "").start();
    let mut client = gateway.client();
    for sent in 1..=3 {
        assert_eq!(client.get("/small").status, 200);
        gateway.wait_for_metric(&series("sent"), f64::from(sent));
    }
    eventually!(shadow.open_connections() == 1);
    assert_eq!(client.get("/large").status, 200);
    eventually!(shadow.open_connections() == 0);
    gateway.wait_for_metric(&series("sent"), 4.0);
    assert_eq!(count(&gateway, "failed"), 0);
}
