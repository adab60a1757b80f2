//! Clients that are slow, endless, or gone.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Gate, Upstream, eventually};

use super::before;

const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n";

#[test]
fn a_head_that_does_not_end_in_time_ends_the_connection() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "client_timeouts: {header: 300ms}", "");
    for piece in [
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n",
    ] {
        let mut client = gateway.client();
        client.send(piece);
        match client.read_response("GET") {
            Ok(answer) => {
                assert_eq!(answer.status, 408, "{piece:?}");
                client.expect_closed();
            }
            Err(WireError::Closed(rest) | WireError::Reset(rest)) => assert_eq!(rest, b""),
            Err(error) => panic!("{piece:?}: {error}"),
        }
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(gateway.get("/after").status, 200);
}

/// A head that comes byte by byte is limited by its whole time, not by the time between two bytes.
#[test]
fn a_head_that_trickles_ends_the_connection() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "client_timeouts: {header: 500ms}", "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nX-Endless: ");
    eventually!(
        client.try_send("x").is_err(),
        "the gateway to close the connection"
    );
    assert_eq!(upstream.connections(), 0);
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_connection_nobody_uses_ends() {
    let upstream = Upstream::echo();
    let gateway = before(
        &upstream,
        "client_timeouts: {idle: 300ms, header: 300ms}",
        "",
    );
    let mut unused = gateway.client();
    unused.expect_closed();
    let mut used = gateway.client();
    assert_eq!(used.get("/").status, 200);
    used.expect_closed();
}

#[test]
fn a_body_that_stops_ends_the_connection() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "client_timeouts: {body: 300ms}", "");
    let mut client = gateway.client();
    client.send(POST).send("half");
    match client.read_response("POST") {
        Ok(answer) => {
            assert_eq!(answer.status, 408);
            client.expect_closed();
        }
        Err(WireError::Closed(rest) | WireError::Reset(rest)) => assert_eq!(rest, b""),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(upstream.requests(), [], "half a request is none");
    eventually!(upstream.open_connections() == 0);
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_client_that_vanishes_within_its_body_takes_its_upstream_connection_along() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "", "");
    for _ in 0..5 {
        let mut client = gateway.client();
        client.send(POST).send("half");
        eventually!(upstream.open_connections() > 0);
        client.reset();
        eventually!(upstream.open_connections() == 0);
    }
    assert_eq!(upstream.take_requests(), []);
    for broken in upstream.take_broken() {
        assert!(broken.ends_with(b"half") || broken.ends_with(b"\r\n\r\n"));
    }
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_client_that_vanishes_before_the_answer_lets_the_upstream_go() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        let request = conversation.receive()?;
        if request.target == "/held" {
            // Whatever the gateway does with the connection of a client that is gone, it must not wait for the answer.
            conversation.until_closed();
            held.open();
            return Ok(());
        }
        conversation.send(request.to_answer())
    });
    let gateway = before(&upstream, "", "response: 50s");
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n");
    upstream.wait_for_requests(1);
    client.reset();
    gate.pass();
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_client_that_vanishes_within_an_answer_stops_it() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.receive()?;
        if request.target != "/endless" {
            return conversation.send(request.to_answer());
        }
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let piece = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        loop {
            conversation.send(&piece)?;
        }
    });
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    client.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.read_head().expect("the head of the answer");
    client.reset();
    eventually!(upstream.open_connections() == 0);
    assert_eq!(gateway.get("/after").status, 200);
}

/// A client that does not read must not make the gateway hold the answer in memory: the upstream is held back.
#[test]
fn a_client_that_does_not_read_holds_the_upstream_back() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PIECE: usize = 0x10000;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let upstream = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
        loop {
            conversation.send(vec![b'x'; PIECE])?;
            count.fetch_add(PIECE, Ordering::SeqCst);
        }
    });
    let gateway = before(&upstream, "client_timeouts: {body: 1s}", "idle: 1s");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.read_head().expect("the head of the answer");
    // It ends, because nobody reads for longer than allowed; until then only what fits into buffers was taken.
    eventually!(upstream.open_connections() == 0);
    let taken = sent.load(Ordering::SeqCst);
    assert!(taken < 64 << 20, "{taken} bytes of an answer nobody reads");
    assert!(swapgate_tests::process::anonymous_bytes(gateway.pid()) < 64 << 20);
}
