//! Interim answers (RFC 9110, 15.2): who gets them, and when.

use swapgate_tests::h2;
use swapgate_tests::{Gate, Upstream};

use crate::answers::Stage;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
const ASK: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// An upstream that gives hints with every answer, with which it waits for a gate.
fn hinting(gate: &Gate) -> Stage {
    let gate = gate.clone();
    Stage::new(Upstream::start(move |conversation| {
        loop {
            let request = conversation.receive()?;
            conversation.send(HINTS)?;
            gate.pass();
            conversation.send(request.to_answer())?;
        }
    }))
}

fn opened() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

#[test]
fn they_come_before_the_answer_is_there() {
    let gate = Gate::new();
    let stage = hinting(&gate);
    let mut client = stage.gateway.client();
    client.send(ASK);
    let head = client.read_head().expect("an interim answer");
    let head = String::from_utf8(head).expect("a head is text");
    let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    assert_eq!(head, expected);
    gate.open();
    let answer = client.expect_response();
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
    let answer = client.send(ASK).expect_response();
    assert_eq!((answer.status, &answer.interim[..]), (200, &[103][..]));
}

#[test]
fn each_comes_before_its_own_answer() {
    let stage = hinting(&opened());
    let mut client = stage.gateway.client();
    for _ in 0..20 {
        client.send(ASK.repeat(5));
        for _ in 0..5 {
            let answer = client.expect_response();
            assert_eq!((answer.status, &answer.interim[..]), (200, &[103][..]));
        }
    }
}

#[test]
fn a_client_that_waits_for_100_gets_both() {
    let stage = hinting(&opened());
    let mut client = stage.gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    let head = client.read_head().expect("an interim answer");
    assert!(head.starts_with(b"HTTP/1.1 100 "), "{head:?}");
    let answer = client.send("abc").expect_response();
    assert_eq!((answer.status, &answer.interim[..]), (200, &[103][..]));
}

#[test]
fn not_for_clients_that_know_none_of_it() {
    let stage = hinting(&opened());
    let mut client = stage.gateway.client();
    client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
    let mut client = h2::Connection::open(stage.gateway.address());
    let stream = client.ask(&h2::connection::get("/"), None);
    let answer = client.answer(stream).expect("an answer");
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
}
