//! The harness against itself: client and load directly against a scripted upstream, without a gateway.

use swapgate_tests::unreachable::{Deaf, Refusing};
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gate, Load, Upstream, eventually};

#[test]
fn an_echo_says_and_records_what_it_received() {
    let upstream = Upstream::echo();
    let mut client = Client::connect(upstream.address());
    let chunked = "POST /a?b HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let echo = client.send(chunked).expect_response().json();
    assert_eq!(echo["target"], "/a?b");
    assert_eq!(echo["body"], "abc");
    assert_eq!(client.get("/second").json()["connection"], 0);

    let requests = upstream.take_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].line(), "POST /a?b HTTP/1.1");
    assert_eq!(requests[0].raw_body, b"3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(requests[0].headers.get("host").as_deref(), Some("test"));
}

#[test]
fn what_never_became_a_request_is_recorded_as_broken() {
    let upstream = Upstream::echo();
    let mut client = Client::connect(upstream.address());
    client.send("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc");
    client.reset();
    eventually!(upstream.open_connections() == 0 && upstream.connections() == 1);
    assert_eq!(upstream.requests(), []);
}

#[test]
fn answers_without_body_are_read_as_such() {
    let upstream = Upstream::fixed("HTTP/1.1 204 No Content\r\n\r\n");
    let mut client = Client::connect(upstream.address());
    assert_eq!(client.get("/").status, 204);
    assert_eq!(client.get("/").status, 204);
}

#[test]
fn interim_answers_are_told_apart() {
    let upstream = Upstream::fixed(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    let answer = Client::connect(upstream.address()).get("/");
    assert_eq!(
        (answer.interim.as_slice(), answer.status),
        (&[103][..], 200)
    );
    assert_eq!(answer.text(), "ok");
}

#[test]
fn truncated_and_reset_answers_are_never_whole() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let closing = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send(head)
    });
    let mut client = Client::connect(closing.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let error = client.read_response("GET").unwrap_err();
    assert!(
        matches!(&error, WireError::Closed(got) if got == head.as_bytes()),
        "{error}"
    );

    let resetting = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.reset_at_end();
        Ok(())
    });
    let mut client = Client::connect(resetting.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let error = client.read_response("GET").unwrap_err();
    assert!(matches!(error, WireError::Reset(_)), "{error}");
}

#[test]
fn ambiguous_and_loose_answers_are_malformed() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n",
        "200 OK\r\n\r\n",
    ] {
        let upstream = Upstream::fixed(answer);
        let mut client = Client::connect(upstream.address());
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let error = client.read_response("GET").unwrap_err();
        assert!(
            matches!(error, WireError::Malformed(..)),
            "{answer:?}: {error}"
        );
    }
}

#[test]
fn a_slow_upstream_is_slow_until_the_test_opens_the_gate() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        let request = conversation.receive()?;
        held.pass();
        conversation.send(request.to_answer())
    });
    let mut client = Client::connect(upstream.address());
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    gate.wait_for_arrival();
    gate.open();
    assert_eq!(client.expect_response().json()["target"], "/slow");
    client.expect_closed();
}

#[test]
fn connections_can_be_closed_under_their_clients() {
    let upstream = Upstream::echo();
    let mut client = Client::connect(upstream.address());
    client.get("/");
    upstream.close_connections();
    client.expect_closed();
    assert_eq!(Client::connect(upstream.address()).get("/").status, 200);
}

#[test]
fn a_refusing_address_refuses() {
    let refusing = Refusing::new();
    assert!(Client::try_connect(refusing.address()).is_err());
}

#[test]
fn a_deaf_address_leaves_attempts_hanging() {
    let deaf = Deaf::new();
    let limit = std::time::Duration::from_millis(200);
    let error = std::net::TcpStream::connect_timeout(&deaf.address(), limit).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn load_counts_answers_and_failures() {
    let upstream = Upstream::echo();
    let request = "GET /load HTTP/1.1\r\nHost: test\r\n\r\n";
    let load = Load::start(upstream.address(), 3, request, |answer| {
        match answer.status {
            200 => Ok(()),
            status => Err(format!("status {status}")),
        }
    });
    load.wait_for_more(100);
    let outcome = load.stop_without_failure();
    assert!(outcome.answered >= 100);
    assert_eq!(outcome.connections, 3);

    let load = Load::start(upstream.address(), 1, request, |_| Err("never".to_owned()));
    eventually!(upstream.requests().len() as u64 > outcome.answered + 10);
    assert!(load.stop().failed >= 10);
}
