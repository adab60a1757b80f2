//! Bytes that come when nobody asked for any: before a request, behind an answer, and without end.

use swapgate_tests::{Gate, Upstream, wait_until};

use crate::answers::ask;
use crate::stage::{CONFIGURATION, Stage};

const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

/// RFC 9112, 9.3: what comes on a connection without a request is nobody's answer.
#[test]
fn what_comes_later_behind_an_answer_is_nobodys_answer() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            conversation.send(request.to_answer())?;
            if request.target == "/first" {
                held.pass();
                conversation.send(EVIL)?;
                conversation.until_closed();
                return Ok(());
            }
        }
    });
    let stage = Stage::before(upstream);
    let mut client = stage.gateway.client();
    assert_eq!(ask(&mut client, "/first").unwrap().status, 200);
    gate.open();
    // The gateway closes a connection on which something came that it did not ask for.
    wait_until("the connection is given up", || {
        stage.upstream.open_connections() == 0
    });
    stage.in_step(&mut client).unwrap();
    stage.fresh().unwrap();
}

/// RFC 9110, 15.2: any number of interim answers may come. They are no answer, so the time for one runs on, and whoever else is
/// served meanwhile does not notice.
#[test]
fn interim_answers_without_end_are_no_answer() {
    let upstream = Upstream::start(|conversation| {
        loop {
            let request = conversation.receive()?;
            if request.target == "/endless" {
                loop {
                    conversation.send("HTTP/1.1 102 Processing\r\nx-a: 1\r\n\r\n")?;
                }
            }
            conversation.send(request.to_answer())?;
        }
    });
    let limited = CONFIGURATION.replace("upstream: up}", "upstream: up, timeouts: {response: 2s}}");
    let stage = Stage::with(&limited, upstream);
    let mut client = stage.gateway.client();
    client.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    stage.upstream.wait_for_requests(1);
    for _ in 0..20 {
        stage.fresh().unwrap();
    }
    assert_eq!(client.expect_response().status, 504);
    stage.in_step(&mut client).unwrap();
}

/// An answer that is there before the request is the answer to nothing; what the client gets is 502, or an answer to a request
/// that was sent again on another connection.
#[test]
fn answers_before_the_request() {
    let upstream = Upstream::start(|conversation| {
        if conversation.number() == 0 {
            conversation.send(format!("{EVIL}{EVIL}"))?;
        }
        loop {
            let request = conversation.receive()?;
            conversation.send(request.to_answer())?;
        }
    });
    let stage = Stage::before(upstream);
    let mut client = stage.gateway.client();
    // It may have come after the request as far as anybody can tell; but only one of the two is taken.
    let _ = ask(&mut client, "/first").unwrap();
    for _ in 0..3 {
        stage.in_step(&mut client).unwrap();
        stage.fresh().unwrap();
    }
}
