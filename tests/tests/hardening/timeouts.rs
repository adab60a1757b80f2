//! Who is slow, and who only has nothing to ask: `header` runs from the first byte of a head, `idle` until then.

use swapgate_tests::h2::connection::request;
use swapgate_tests::h2::{Connection, frame, frame::flag, pack};

use crate::Stage;

/// Nothing here lives as long as `idle`; whatever ends by it does not end before the test does.
const SHORT_HEADS: &str = "client_timeouts: {header: 1s, body: 1s, idle: 600s}";
const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn an_idle_connection_is_no_slow_head() {
    let stage = Stage::with(SHORT_HEADS, "");
    let mut one = stage.gateway.client();
    assert_eq!(one.get("/").status, 200);
    let mut two = Connection::open(stage.gateway.address());
    assert_eq!(two.get("/").expect("an answer").status, 200);
    // Longer than a head may take, twice: so long it takes until somebody is closed who sends half of one.
    for _ in 0..2 {
        let mut slow = stage.gateway.client();
        slow.send("GET / HTTP/1.1\r\nHo");
        slow.expect_closed();
    }
    assert_eq!(one.get("/").status, 200);
    assert_eq!(two.get("/").expect("an answer").status, 200);
}

#[test]
fn behind_an_idle_time_a_head_has_its_own() {
    let stage = Stage::with(SHORT_HEADS, "");
    // With the first byte at once, later than a connection rests, and in one piece with the request before.
    let mut client = stage.gateway.client();
    client.send(format!("{GET}G"));
    assert_eq!(client.expect_response().status, 200);
    client.expect_closed();
    let mut client = stage.gateway.client();
    assert_eq!(client.get("/").status, 200);
    let mut slow = stage.gateway.client();
    slow.send("G");
    slow.expect_closed();
    client.send("G");
    client.expect_closed();
    // A byte now and then gives a head no more time.
    let mut client = stage.gateway.client();
    let mut sent = 0;
    while client.try_send("G").is_ok() {
        sent += 1;
        assert_eq!(stage.gateway.get("/").status, 200);
        assert!(sent < 100_000, "it is heard for ever");
    }
    let mut connection = Connection::open(stage.gateway.address());
    assert_eq!(connection.get("/").expect("an answer").status, 200);
    let head = frame::headers(3, pack::block(&request("GET", "/"))).without(flag::END_HEADERS);
    connection.send(head.encode());
    assert!(connection.until_closed().is_ok());
}

#[test]
fn slow_bodies_are_told_so() {
    let stage = Stage::with(SHORT_HEADS, "");
    let mut client = stage.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.expect_response().status, 408);
    client.expect_closed();
    let mut connection = Connection::open(stage.gateway.address());
    let stream = connection.next_stream();
    let head = frame::headers(stream, pack::block(&request("POST", "/")));
    connection.send([head.encode(), frame::data(stream, "abc").encode()].concat());
    let answer = connection.answer(stream).expect("an answer");
    assert_eq!(answer.status, 408);
    assert_eq!(connection.get("/").expect("it goes on").status, 200);
}

#[test]
fn idle_connections_end() {
    let stage = Stage::with("client_timeouts: {header: 600s, body: 600s, idle: 1s}", "");
    let mut one = stage.gateway.client();
    assert_eq!(one.get("/").status, 200);
    one.expect_closed();
    let mut two = Connection::open(stage.gateway.address());
    assert_eq!(two.get("/").expect("an answer").status, 200);
    assert_eq!(two.until_closed().expect("in good order"), Some(0));
}
