//! Bodies that are told again from their beginning.

use swapgate_tests::h2::frame::{self, flag};
use swapgate_tests::h2::pack;
use swapgate_tests::{Nginx, Upstream, h2};

use super::{UNWELL, alone, bad_at_first, between, closes, request};

const AGAIN: &str = "retries: {attempts: 1, on: [reset, \"503\"], backoff: 1ms}";

/// The body of each request that came whole.
fn bodies(upstream: &Upstream) -> Vec<Vec<u8>> {
    let requests = upstream.requests().into_iter();
    requests.map(|request| request.body).collect()
}

#[test]
fn a_small_body_is_told_again() {
    let upstream = bad_at_first(1, closes);
    let gateway = alone(&upstream, AGAIN).start();
    let answer = gateway
        .client()
        .send(request("PUT", "a body"))
        .expect_response();
    assert_eq!(answer.status, 200, "{answer:?}");
    let [first, second] = upstream.take_requests().try_into().expect("two");
    assert_eq!(first.head, second.head);
    assert_eq!(
        (first.body, second.body),
        (b"a body".into(), b"a body".into())
    );
}

/// The first attempt ends inside the body. The next one begins with what was told and goes on with the rest.
#[test]
fn a_body_that_was_half_sent_is_whole_the_next_time() {
    let upstream = bad_at_first(1, |conversation| {
        conversation.receive_head()?;
        assert_eq!(conversation.receive_chunk()?, b"one");
        conversation.reset_at_end();
        Ok(())
    });
    let gateway = alone(&upstream, AGAIN).start();
    let mut client = gateway.client();
    client.send(
        "PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n",
    );
    client.send("3\r\none\r\n");
    gateway.wait_for_metric(
        "swapgate_upstream_retries_total{upstream=\"up\",reason=\"reset\"}",
        1.0,
    );
    client.send("3\r\ntwo\r\n0\r\nx-sum: 7\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!(answer.status, 200, "{answer:?}");
    let [got] = upstream.take_requests().try_into().expect("one whole");
    assert_eq!(got.body, b"onetwo");
    assert!(got.raw_body.ends_with(b"x-sum: 7\r\n\r\n"), "{got:?}");
    // Nothing is served on a connection on which trailers came.
    client.expect_closed();
    assert_eq!(gateway.get("/next").status, 200);
}

#[test]
fn a_body_larger_than_what_is_kept_is_sent_once() {
    let service = "retries: {attempts: 1, on: [reset, \"503\"], body_bytes: 10}";
    for chunked in [false, true] {
        let upstream = Upstream::start(|conversation| {
            conversation.receive()?;
            conversation.send(UNWELL)
        });
        let gateway = alone(&upstream, service).start();
        let mut client = gateway.client();
        if chunked {
            client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send("6\r\n123456\r\n6\r\n789012\r\n0\r\n\r\n");
        } else {
            client.send(request("PUT", "123456789012"));
        }
        assert_eq!(client.expect_response().text(), "unwell");
        assert_eq!(bodies(&upstream), [b"123456789012"]);
        gateway.wait_for_metric(
            "swapgate_upstream_retries_denied_total{upstream=\"up\",why=\"body\"}",
            1.0,
        );
    }
}

/// The client is asked for its body once.
#[test]
fn a_client_that_waits_for_100_is_told_once() {
    let upstream = bad_at_first(1, closes);
    let gateway = alone(&upstream, AGAIN).start();
    let mut client = gateway.client();
    client.send(
        "PUT / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    let interim = client.read_head().expect("an interim answer");
    assert!(
        interim.starts_with(b"HTTP/1.1 100"),
        "{}",
        interim.escape_ascii()
    );
    let answer = client.send("body").expect_response();
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
    assert_eq!(bodies(&upstream), [b"body", b"body"]);
}

#[test]
fn bodies_of_http_2_are_told_again() {
    let upstream = bad_at_first(1, closes);
    let gateway = alone(&upstream, AGAIN).start();
    let mut client = h2::Connection::open(gateway.address());
    let stream = client.next_stream();
    let head = frame::headers(stream, pack::block(&h2::connection::request("PUT", "/")));
    client.send(head.encode());
    client.send(frame::data(stream, "one ").encode());
    client.send(frame::data(stream, "two").with(flag::END_STREAM).encode());
    let answer = client.answer(stream).expect("an answer");
    assert_eq!((answer.status, answer.reset), (200, None));
    assert_eq!(bodies(&upstream), [b"one two", b"one two"]);
}

#[test]
fn bodies_are_told_again_to_a_target_of_http_2() {
    let bad = Nginx::server("listen @address@ http2; location / { return 503; }");
    let good = Nginx::server("listen @address@ http2; dav_methods PUT;");
    let gateway = between(bad.address(), good.address(), [", protocol: h2", AGAIN]).start();
    let body = "0123456789".repeat(2000);
    let mut client = gateway.client();
    for number in 0..4 {
        let length = body.len();
        let head =
            format!("PUT /{number} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
        let answer = client.send(head + &body).expect_response();
        assert_eq!(answer.status, 201, "{}", answer.text());
        let got = std::fs::read(good.files().join(number.to_string())).expect("it is there");
        assert!(got == body.as_bytes(), "{number} is whole");
    }
}
