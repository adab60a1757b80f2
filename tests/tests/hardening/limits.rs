//! How long a target, how large a head and how large a body may be: for both protocols, and whatever becomes of a body.

use swapgate_tests::h2::{Connection, frame, frame::flag, pack};
use swapgate_tests::{Gateway, Upstream};

use crate::{Stage, put, text};

#[test]
fn targets() {
    let stage = Stage::with("limits: {uri_bytes: 1KiB}", "");
    let path = |length: usize| format!("/{}", "p".repeat(length - 1));
    let query = |length: usize| format!("/?{}", "q".repeat(length - 2));
    for target in [path(1024), query(1024)] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!((stage.one(request), stage.two(&target, &[])), (200, 200));
        let absolute = format!("GET http://test{target} HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(stage.one(absolute), 200, "scheme and host do not count");
    }
    assert_eq!(stage.upstream.take_requests().len(), 6);
    for target in [path(1025), query(1025), path(10_000)] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!((stage.one(request), stage.two(&target, &[])), (414, 414));
    }
    assert_eq!(stage.upstream.take_requests().len(), 0);
}

#[test]
fn heads() {
    let stage = Stage::with("limits: {headers: 20, header_bytes: 16KiB}", "");
    let names: Vec<String> = (0..30).map(|number| format!("x-{number}")).collect();
    let fields = |count: usize| -> Vec<(&str, &str)> {
        let names = names.iter().take(count);
        names.map(|name| (name.as_str(), "1")).collect()
    };
    // Of HTTP/2 `Host` is made of `:authority`, and counts in neither.
    for (count, status) in [(19, 200), (25, 431)] {
        let lines: String = fields(count)
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        assert_eq!(stage.one(request), status, "{count}");
        assert_eq!(stage.two("/", &fields(count)), status, "{count}");
    }
    let long = "v".repeat(17_000);
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {long}\r\n\r\n");
    assert_eq!(stage.one(request), 431);
    // A frame has 16 KiB, so this is a head in two.
    let mut connection = Connection::open(stage.gateway.address());
    let field = (b"x".to_vec(), long.into_bytes());
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = swapgate_tests::h2::connection::get("/")
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    all.push(field);
    let block = pack::block(&all);
    let (first, rest) = block.split_at(16_000);
    let stream = connection.next_stream();
    let first = frame::headers(stream, first)
        .with(flag::END_STREAM)
        .without(flag::END_HEADERS);
    let rest = frame::continuation(stream, rest).with(flag::END_HEADERS);
    connection.send([first.encode(), rest.encode()].concat());
    assert_eq!(connection.answer(stream).expect("an answer").status, 431);
    assert_eq!(connection.get("/").expect("it goes on").status, 200);
}

/// Routes that do something with a body: pass it on, show it to a plugin, keep it to send it again, copy it.
fn world(upstream: &Upstream, copies: &Upstream) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugin.so");
    let source = swapgate_tests::artifacts::root().join("tests/tests/bodies/plugin.c");
    let define = [
        "-DID=\"body-test\"",
        "-DREQUEST=1",
        "-DRESPONSE=0",
        "-DKEEP=0",
        "-DPRIORITY=100",
    ];
    swapgate_tests::artifacts::c_plugin(&source, &file, &define);
    Gateway::with(
        "\
limits: {body_bytes: 100KiB}
upstreams:
  - {name: up, targets: [{address: \"@up@\"}]}
  - {name: copies, targets: [{address: \"@copies@\"}]}
services:
  - {name: up, upstream: up}
  - {name: again, upstream: up, retries: {attempts: 2, on: [connect, \"503\"]}}
routes:
  - {name: plain, service: up, paths: [/plain], body_bytes: 1000}
  - {name: seen, service: up, paths: [/seen], body_bytes: 1000, plugins: [{name: body-test, config: {mode: watch}}]}
  - {name: again, service: again, paths: [/again], body_bytes: 1000}
  - {name: mirrored, service: up, paths: [/mirrored], body_bytes: 1000, mirror: {upstream: copies}}
  - {name: whole, service: up}
",
    )
    .set("up", upstream.address())
    .set("copies", copies.address())
    .plugin_bytes("libbody-test.so", &std::fs::read(file).expect("it is there"))
    .start()
}

#[test]
fn bodies_whatever_becomes_of_them() {
    let (upstream, copies) = (Upstream::echo(), Upstream::echo());
    let gateway = world(&upstream, &copies);
    let chunked = |path: &str, length: usize| {
        let body = "x".repeat(length);
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        let mut client = gateway.client();
        client.send(request);
        client.expect_response().status
    };
    let frames = |path: &str, length: usize| {
        let mut connection = Connection::open(gateway.address());
        let stream = put(&mut connection, path, &vec![b'x'; length], &[]);
        connection.answer(stream).expect("an answer").status
    };
    for path in ["/plain", "/seen", "/again", "/mirrored"] {
        assert_eq!(
            (chunked(path, 1000), frames(path, 1000)),
            (200, 200),
            "{path}"
        );
        assert_eq!(
            (chunked(path, 1001), frames(path, 1001)),
            (413, 413),
            "{path}"
        );
        assert_eq!(
            (chunked(path, 50_000), frames(path, 50_000)),
            (413, 413),
            "{path}"
        );
    }
    assert_eq!((chunked("/", 100_000), frames("/", 100_000)), (200, 200));
    for request in upstream.take_requests() {
        let most = if request.target == "/" { 100_000 } else { 1000 };
        assert!(
            request.body.len() <= most,
            "{}: {}",
            request.target,
            request.body.len()
        );
    }
    copies.wait_for_requests(2);
    for copy in copies.take_requests() {
        assert_eq!(copy.body.len(), 1000);
    }
}

#[test]
fn a_handshake_has_no_body_and_a_tunnel_no_limit() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.receive()?;
        if request.headers.get("upgrade").is_none() {
            return conversation.send(request.to_answer());
        }
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        )?;
        let bytes = conversation.receive_exact(5000)?;
        conversation.send(bytes)
    });
    let routes = text("limits: {body_bytes: 1000}", ", upgrades: [echo/1]");
    let gateway = Gateway::with(&routes).set("up", upstream.address()).start();
    let ask = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n";
    let mut client = gateway.client();
    client.send(format!(
        "{ask}Content-Length: 5000\r\n\r\n{}",
        "x".repeat(5000)
    ));
    assert_eq!(client.expect_response().status, 413);
    let mut client = gateway.client();
    client.send(format!("{ask}\r\n"));
    let head = client.read_head().expect("an answer");
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
    client.send("x".repeat(5000));
    assert_eq!(client.read_exact(5000).expect("they come back").len(), 5000);
}
