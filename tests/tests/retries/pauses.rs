//! What ends a pause between two attempts.

use std::time::Instant;

use rustix::process::Signal;
use swapgate_tests::h2;

use super::{alone, bad_at_first, closes};

const LONG: &str = "retries: {attempts: 1, backoff: 1h, max_backoff: 1h}";
const AGAIN: &str = "swapgate_upstream_retries_total{upstream=\"up\",reason=\"reset\"}";

#[test]
fn a_client_that_leaves_is_not_waited_for() {
    let upstream = bad_at_first(2, closes);
    let gateway = alone(&upstream, LONG).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    gateway.wait_for_metric(AGAIN, 1.0);
    client.reset();
    let over = "swapgate_requests_total{route=\"all\",service=\"up\",status=\"none\"}";
    gateway.wait_for_metric(over, 1.0);
    let mut client = h2::Connection::open(gateway.address());
    let stream = client.ask(&h2::connection::request("GET", "/"), None);
    gateway.wait_for_metric(AGAIN, 2.0);
    client.send(h2::frame::reset(stream, 8).encode());
    gateway.wait_for_metric(over, 2.0);
    assert_eq!(upstream.requests().len(), 2);
}

/// Whoever waits when the gateway is to end is served at once.
#[test]
fn a_drain_ends_the_pause() {
    let begun = Instant::now();
    let upstream = bad_at_first(2, closes);
    let mut gateway = alone(&upstream, LONG).start();
    let mut first = gateway.client();
    first.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut second = h2::Connection::open(gateway.address());
    let stream = second.ask(&h2::connection::request("GET", "/"), None);
    gateway.wait_for_metric(AGAIN, 2.0);
    gateway.signal(Signal::TERM);
    assert_eq!(first.expect_response().status, 200);
    assert_eq!(second.answer(stream).expect("an answer").status, 200);
    assert!(
        gateway.wait_for_end().success(),
        "after {:?}",
        begun.elapsed()
    );
}
