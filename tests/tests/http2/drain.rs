//! A gateway that ends: streams that run are answered, and every request is either
//! answered or known to be safe to ask again (RFC 9113, 6.8 and 8.7).

use std::time::{Duration, Instant};

use rustix::process::Signal;
use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::code;
use swapgate_tests::h2::{Connection, frame};
use swapgate_tests::{Gate, Gateway, Upstream};

/// A gateway before an upstream that answers `/gate` only once the gate is open.
fn gated() -> (Gate, Upstream, Gateway) {
    let gate = Gate::new();
    let inside = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.target.starts_with("/gate") {
            inside.pass();
        }
        request.to_answer()
    });
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: s, upstream: up}]
routes: [{name: all, service: s}]
",
    )
    .set("up", upstream.address())
    .start();
    (gate, upstream, gateway)
}

#[test]
fn streams_that_run_are_answered() {
    let (gate, upstream, mut gateway) = gated();
    let mut connection = Connection::open(gateway.address());
    let running: Vec<u32> = (0..5)
        .map(|n| connection.ask(&get(&format!("/gate/{n}")), None))
        .collect();
    upstream.wait_for_requests(5);
    gateway.signal(Signal::TERM);
    connection.until(|seen| seen.goaway.is_some()).unwrap();
    assert_eq!(connection.seen().goaway_code(), Some(code::NO_ERROR));
    // One that may have been on its way when the gateway said so.
    let late = connection.ask(&get("/late"), None);
    gate.open();
    for (n, stream) in running.iter().enumerate() {
        let answer = connection.answer(*stream).unwrap();
        assert_eq!(answer.json()["target"], format!("/gate/{n}"));
    }
    // Whatever comes of the late one: it ends in good order.
    let _ = connection.until_closed();
    let (last, said, _) = connection.seen().goaway.clone().unwrap();
    let answered = connection.seen().answer(late).status == 200;
    let refused = connection.seen().answer(late).reset == Some(code::REFUSED_STREAM);
    assert!(answered || refused || last < late, "{last} {answered}");
    assert_eq!(said, code::NO_ERROR);
    let acted_on = upstream.requests().iter().any(|one| one.target == "/late");
    assert!(answered || !acted_on, "it was acted on and not answered");
    assert!(gateway.wait_for_end().success());
}

#[test]
fn connections_without_streams_are_let_go_at_once() {
    let (_gate, _upstream, mut gateway) = gated();
    let mut used = Connection::open(gateway.address());
    assert_eq!(used.get("/once").unwrap().status, 200);
    let mut fresh = Connection::open(gateway.address());
    gateway.signal(Signal::TERM);
    for connection in [&mut used, &mut fresh] {
        assert_eq!(connection.until_closed().unwrap(), Some(code::NO_ERROR));
    }
    assert!(gateway.wait_for_end().success());
}

/// A client that does not answer the gateway's PING, and goes on to ask, does not hold it up for ever.
#[test]
fn a_client_that_does_not_listen() {
    let (gate, upstream, mut gateway) = gated();
    let mut connection = Connection::open(gateway.address());
    connection.ask(&get("/gate"), None);
    upstream.wait_for_requests(1);
    gateway.signal(Signal::TERM);
    // Reads nothing, and so answers nothing; the stream that runs is answered into the void.
    gate.open();
    let asked = connection.try_send(frame::ping([7; 8]).encode());
    assert!(gateway.wait_for_end().success(), "{asked:?}");
}

/// What it still asks for after a while is refused in a way that says that it was not acted on (RFC 9113, 8.7).
#[test]
fn who_asks_for_too_long_may_ask_elsewhere() {
    let (gate, upstream, mut gateway) = gated();
    let mut connection = Connection::open(gateway.address());
    connection.leave_pings_unanswered();
    connection.ask(&get("/gate"), None);
    upstream.wait_for_requests(1);
    gateway.signal(Signal::TERM);
    connection.until(|seen| seen.goaway.is_some()).unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    let mut answered = 0;
    let refused = loop {
        assert!(Instant::now() < limit, "{answered} were answered");
        let answer = connection.get("/late").unwrap();
        if answer.reset.is_some() {
            break answer;
        }
        assert_eq!(answer.status, 200);
        answered += 1;
    };
    assert_eq!(refused.reset, Some(code::REFUSED_STREAM));
    let acted_on = upstream.requests().len();
    assert_eq!(acted_on, answered + 1, "one for the stream that runs");
    gate.open();
    assert!(gateway.wait_for_end().success());
}
