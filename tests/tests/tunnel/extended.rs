//! WebSocket over HTTP/2: extended CONNECT (RFC 8441), and what an upstream of HTTP/1.1 sees of it.

use rustix::process::Signal;
use swapgate_tests::h2::connection::Connection;
use swapgate_tests::h2::frame::{self, code, setting};
use swapgate_tests::h2::pack;
use swapgate_tests::python::Python;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gate, Gateway, Upstream, eventually};

use super::{AGREED, CONFIG, OPEN, agreeing, echo, gateway};

/// A masked text message `hello`, and the answer of a server that echoes it.
const HELLO: (&[u8], &[u8]) = (b"\x81\x85\0\0\0\0hello", b"\x81\x05hello");
/// The closing handshake with 1000.
const CLOSE: (&[u8], &[u8]) = (b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8");

/// Asks for a protocol on a stream of its own.
fn connect(connection: &mut Connection, protocol: &str, path: &str) -> u32 {
    let stream = connection.next_stream();
    let fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", path),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ];
    connection.send(frame::headers(stream, pack::block(&fields)).encode());
    stream
}

#[track_caller]
fn status(connection: &mut Connection, stream: u32) -> u16 {
    let answered = connection.until(|seen| seen.answer(stream).status != 0 || seen.is_over(stream));
    answered.expect("an answer");
    connection.seen().answer(stream).status
}

/// A connection with a stream that has changed over.
#[track_caller]
fn opened(gateway: &Gateway, protocol: &str) -> (Connection, u32) {
    let mut connection = Connection::open(gateway.address());
    let stream = connect(&mut connection, protocol, "/x");
    assert_eq!(status(&mut connection, stream), 200);
    (connection, stream)
}

#[track_caller]
fn expect_body(connection: &mut Connection, stream: u32, wanted: &[u8]) {
    let came = connection.until(|seen| seen.answer(stream).body.len() >= wanted.len());
    came.expect("bytes");
    assert_eq!(connection.seen().answer(stream).body, wanted);
}

#[test]
fn a_real_server_speaks_to_a_stream() {
    let server = Python::script("websocket_server.py").serve();
    let gateway = Gateway::with(CONFIG).set("up", server.address()).start();
    let mut connection = Connection::open(gateway.address());
    assert_eq!(
        connection
            .seen()
            .settings
            .get(&setting::ENABLE_CONNECT_PROTOCOL),
        Some(&1)
    );
    let stream = connect(&mut connection, "websocket", "/echo");
    assert_eq!(status(&mut connection, stream), 200);
    let headers = connection.seen().answer(stream).headers;
    assert_eq!(
        headers.get("sec-websocket-protocol").as_deref(),
        Some("chat")
    );
    assert_eq!(headers.get("sec-websocket-accept"), None);
    connection.send(frame::data(stream, HELLO.0).encode());
    expect_body(&mut connection, stream, HELLO.1);
    assert_eq!(gateway.metrics().value(OPEN), Some(1.0));
    // Others share the connection meanwhile.
    let second = connect(&mut connection, "websocket", "/echo");
    assert_eq!(status(&mut connection, second), 200);
    connection.send(frame::data(stream, CLOSE.0).encode());
    connection
        .until(|seen| seen.is_over(stream))
        .expect("an end");
    expect_body(&mut connection, stream, &[HELLO.1, CLOSE.1].concat());
    connection.send(frame::last_data(stream, "").encode());
    connection.send(frame::data(second, HELLO.0).encode());
    expect_body(&mut connection, second, HELLO.1);
    gateway.wait_for_metric(OPEN, 1.0);
    drop(connection);
    gateway.wait_for_metric(OPEN, 0.0);
    gateway.wait_for_metric(
        "swapgate_requests_total{route=\"all\",service=\"up\",status=\"101\"}",
        2.0,
    );
}

#[test]
fn the_upstream_gets_a_handshake_of_http_1_1() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n")?;
        conversation.until_closed();
        Ok(())
    });
    let gateway = gateway(&upstream);
    let mut connection = Connection::open(gateway.address());
    let stream = connect(&mut connection, "websocket", "/x?q");
    assert_eq!(status(&mut connection, stream), 502, "its proof is none");
    let request = &upstream.requests()[0];
    assert_eq!(request.line(), "GET /x?q HTTP/1.1");
    for (name, value) in [
        ("host", "a.test"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ] {
        assert_eq!(request.headers.get(name).as_deref(), Some(value), "{name}");
    }
    let key = request.headers.get("sec-websocket-key").expect("a key");
    assert_eq!(key.len(), 24);
    assert_eq!(request.headers.get("content-length"), None);
    assert_eq!(request.headers.get("transfer-encoding"), None);
    eventually!(upstream.open_connections() == 0);
}

#[test]
fn what_is_no_agreement_is_no_success() {
    let upstream = Upstream::answering(|request| {
        let status = request.target.trim_start_matches('/');
        format!("HTTP/1.1 {status} Said\r\nContent-Length: 4\r\n\r\nbody").into()
    });
    let gateway = gateway(&upstream);
    let mut connection = Connection::open(gateway.address());
    for (path, expected) in [("/200", 502), ("/204", 502), ("/403", 403), ("/302", 302)] {
        let stream = connect(&mut connection, "websocket", path);
        assert_eq!(status(&mut connection, stream), expected, "{path}");
    }
    for (protocol, path) in [("websocket", "/none"), ("other", "/x")] {
        let stream = connect(&mut connection, protocol, path);
        assert_eq!(status(&mut connection, stream), 501, "{protocol} {path}");
    }
    let plain = [(":method", "CONNECT"), (":authority", "a.test:443")];
    let stream = connection.next_stream();
    connection.send(frame::headers(stream, pack::block(&plain)).encode());
    assert_eq!(status(&mut connection, stream), 501);
}

#[test]
fn each_direction_ends_on_its_own() {
    let upstream = agreeing(|conversation| {
        let all = conversation.receive_to_end()?;
        conversation.send("after the end: ")?;
        conversation.send(all)
    });
    let gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    connection.send(frame::data(stream, "one ").encode());
    connection.send(frame::last_data(stream, "two").encode());
    let answer = connection.answer(stream).expect("an end");
    assert_eq!(
        String::from_utf8_lossy(&answer.body),
        "after the end: one two"
    );
    gateway.wait_for_metric(OPEN, 0.0);

    let upstream = agreeing(|conversation| {
        conversation.send("all I say")?;
        conversation.finish_sending();
        conversation.receive_to_end().map(drop)
    });
    let gateway = super::gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    let answer = connection.answer(stream).expect("an end");
    assert_eq!(answer.body, b"all I say");
    assert_eq!(
        gateway.metrics().value(OPEN),
        Some(1.0),
        "half of it is open"
    );
    connection.send(frame::last_data(stream, "bye").encode());
    gateway.wait_for_metric(OPEN, 0.0);
}

#[test]
fn a_stream_that_is_reset_ends_the_upstreams_connection() {
    let upstream = agreeing(echo);
    let gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    connection.send(frame::data(stream, "hello").encode());
    expect_body(&mut connection, stream, b"hello");
    connection.send(frame::reset(stream, 8).encode());
    eventually!(upstream.open_connections() == 0);
    gateway.wait_for_metric(OPEN, 0.0);
    assert_eq!(
        connection.get("/").expect("an answer").status,
        200,
        "the others live on"
    );
}

#[test]
fn an_upstream_that_breaks_off_ends_the_stream() {
    let upstream = agreeing(|conversation| {
        conversation.receive_exact(1)?;
        conversation.reset_at_end();
        Ok(())
    });
    let gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    connection.send(frame::data(stream, "x").encode());
    connection
        .until(|seen| seen.is_over(stream))
        .expect("an end");
    assert_eq!(
        connection.seen().answer(stream).reset,
        Some(code::CANCEL),
        "a good end would say that nothing was lost"
    );
    gateway.wait_for_metric(OPEN, 0.0);
}

#[test]
fn an_upstream_that_keeps_its_half_open_keeps_nothing_of_a_stream_that_is_reset() {
    let keeping = |sender: std::sync::mpsc::Sender<_>| {
        let (gate, said) = (Gate::new(), std::sync::Mutex::new(sender));
        let held = gate.clone();
        let upstream = agreeing(move |conversation| {
            let _ = said.lock().unwrap().send(conversation.receive_to_end());
            held.pass();
            Ok(())
        });
        (upstream, gate)
    };
    for reason in [code::CANCEL, code::NO_ERROR, code::INTERNAL_ERROR] {
        let (said, heard) = std::sync::mpsc::channel();
        let (upstream, gate) = keeping(said);
        let gateway = gateway(&upstream);
        let (mut connection, stream) = opened(&gateway, "echo/1");
        connection.send(frame::reset(stream, reason).encode());
        let end = heard.recv().expect("an end");
        assert!(matches!(end, Err(WireError::Reset(_))), "{reason}: {end:?}");
        gateway.wait_for_metric(OPEN, 0.0);
        gateway.wait_for_metric(
            "swapgate_requests_total{route=\"all\",service=\"up\",status=\"101\"}",
            1.0,
        );
        gate.open();
    }
    // It has ended its direction before, and only the upstream's is left.
    let (said, heard) = std::sync::mpsc::channel();
    let (upstream, gate) = keeping(said);
    let gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    connection.send(frame::last_data(stream, "all").encode());
    let all = heard.recv().expect("it came").expect("an orderly end");
    assert_eq!(all, b"all");
    assert_eq!(gateway.metrics().value(OPEN), Some(1.0), "half is open");
    connection.send(frame::reset(stream, code::CANCEL).encode());
    gateway.wait_for_metric(OPEN, 0.0);
    gate.open();
}

#[test]
fn much_in_both_directions_at_once() {
    const LENGTH: usize = 2_000_000;
    let upstream = agreeing(|conversation| {
        let mut left = LENGTH;
        while left > 0 {
            let piece = conversation.receive_exact(left.min(10_000))?;
            left -= piece.len();
            conversation.send(piece)?;
        }
        Ok(())
    });
    let gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    let sent: Vec<u8> = (0..LENGTH)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let mut at = 0;
    let mut window = 65_535;
    while at < LENGTH {
        // What the gateway says it takes, of the stream and of the connection, and no more.
        let given = |seen: &swapgate_tests::h2::seen::Seen, of: u32, first: u64| {
            seen.windows.get(&of).copied().unwrap_or(0) + first
        };
        let first = u64::from(
            connection
                .seen()
                .settings
                .get(&4)
                .copied()
                .unwrap_or(65_535),
        );
        let room = given(connection.seen(), stream, first).min(given(connection.seen(), 0, 65_535));
        window = window.max(room);
        let more = usize::try_from(room)
            .unwrap()
            .min(LENGTH)
            .saturating_sub(at)
            .min(16_384);
        if more == 0 {
            connection.step().expect("a frame");
            continue;
        }
        connection.send(frame::data(stream, &sent[at..at + more]).encode());
        at += more;
    }
    connection.send(frame::last_data(stream, "").encode());
    let answer = connection.answer(stream).expect("an end");
    assert!(answer.body == sent, "{} bytes", answer.body.len());
}

#[test]
fn a_shutdown_waits_for_a_stream_that_changed_over() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send(AGREED)?;
        echo(conversation)
    });
    let mut gateway = gateway(&upstream);
    let (mut connection, stream) = opened(&gateway, "echo/1");
    gateway.signal(Signal::TERM);
    eventually!(Client::try_connect(gateway.address()).is_err());
    connection.send(frame::data(stream, "until I am done").encode());
    expect_body(&mut connection, stream, b"until I am done");
    connection.send(frame::last_data(stream, "").encode());
    let end = connection.until_closed();
    assert!(
        matches!(end, Ok(Some(0)) | Err(WireError::Closed(_))),
        "{end:?}"
    );
    assert_eq!(gateway.wait_for_end().code(), Some(0));
}
