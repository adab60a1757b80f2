//! Upstreams that are silent, slow, or die in the middle.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Gate, Upstream, eventually};

use super::{assert_problem, before};

#[test]
fn an_answer_that_does_not_come_becomes_504() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        let request = conversation.receive()?;
        if request.target == "/silent" {
            held.pass();
        }
        conversation.send(request.to_answer())
    });
    let gateway = before(&upstream, "", "response: 300ms");
    let mut client = gateway.client();
    assert_problem(&client.get("/silent"), 504);
    // The late answer belongs to nobody: the connection it comes on was given up.
    gate.open();
    assert_eq!(client.get("/next").json()["target"], "/next");
    eventually!(upstream.open_connections() <= 1);
}

#[test]
fn an_answer_that_stops_is_never_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
        held.pass();
        Ok(())
    });
    let gateway = before(&upstream, "", "idle: 300ms");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let error = client.read_response("GET").unwrap_err();
    assert!(
        matches!(&error, WireError::Closed(got) | WireError::Reset(got) if got.ends_with(b"half")),
        "{error}"
    );
    gate.open();
}

/// A request that may have been acted upon is not sent again.
#[test]
fn an_upstream_that_dies_after_the_request_is_not_asked_twice() {
    for reset in [false, true] {
        let upstream = Upstream::start(move |conversation| {
            conversation.receive()?;
            if reset {
                conversation.reset_at_end();
            }
            Ok(())
        });
        let gateway = before(&upstream, "", "");
        let answer = gateway
            .client()
            .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc")
            .expect_response();
        assert_problem(&answer, 502);
        assert_eq!(upstream.take_requests().len(), 1);
    }
}

#[test]
fn an_upstream_that_resets_within_its_body_breaks_the_answer() {
    let sent = Gate::new();
    let read = sent.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")?;
        read.pass();
        conversation.reset_at_end();
        Ok(())
    });
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.read_head().expect("the head of the answer");
    sent.open();
    match client.read_to_end() {
        Ok(rest) | Err(WireError::Reset(rest)) => {
            assert!(
                !rest.ends_with(b"0\r\n\r\n"),
                "it looks whole: {}",
                rest.escape_ascii()
            );
        }
        Err(error) => panic!("{error}"),
    }
}

/// An upstream may answer before it has read the whole request, and then stop reading it.
#[test]
fn an_answer_before_the_end_of_the_request() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation
            .send("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")?;
        conversation.until_closed();
        Ok(())
    });
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
}

/// Bodies stream: the upstream has the first piece before the client sends the second, and the other way round.
#[test]
fn bodies_stream_in_both_directions() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let piece = conversation.receive_chunk()?;
            if piece.is_empty() {
                return conversation.send("0\r\n\r\n");
            }
            let length = piece.len();
            conversation.send([format!("{length:x}\r\n").as_bytes(), &piece, b"\r\n"].concat())?;
        }
    });
    let gateway = before(&upstream, "", "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client
        .read_head()
        .expect("the head, before any of the body was sent");
    for piece in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(client.read_chunk().unwrap(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_chunk().unwrap(), b"");
}

#[test]
fn large_bodies_pass_in_bounded_memory() {
    const SIZE: usize = 48 << 20;
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                request.body.len()
            );
            conversation.send(head)?;
            conversation.send(&request.body)?;
        }
    });
    let gateway = before(&upstream, "", "");
    assert_eq!(gateway.get("/warm").status, 200);
    let before = swapgate_tests::process::anonymous_bytes(gateway.pid());
    let body: Vec<u8> = (0..SIZE).map(|at| at.to_le_bytes()[at % 3]).collect();
    let mut client = gateway.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    client.send(&body);
    let answer = client.expect_response();
    assert!(answer.body == body, "the body came back changed");
    let after = swapgate_tests::process::anonymous_bytes(gateway.pid());
    assert!(
        after < before + (16 << 20),
        "{before} bytes before, {after} after"
    );
}
