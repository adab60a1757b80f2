//! What becomes of exchanges and connections.

use rustix::process::Signal;
use swapgate_tests::{Client, Gate, Gateway, Load, Upstream, eventually};

use super::{SLOW, before, slow};

fn finishes_what_runs(signal: Signal) {
    let gate = Gate::new();
    let upstream = slow(&gate);
    let mut gateway = before(&upstream, "").start();
    let mut idle: Vec<Client> = (0..10).map(|_| gateway.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    let mut running: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut running {
        client.send(SLOW);
    }
    upstream.wait_for_requests(14);

    gateway.signal(signal);
    for client in &mut idle {
        client.expect_closed();
    }
    eventually!(Client::try_connect(gateway.address()).is_err());
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503, "a gateway on its way out is not ready");
    assert_eq!(gateway.admin("/healthz").status, 200);
    assert!(Client::try_connect(gateway.address()).is_err());

    gate.open();
    for client in &mut running {
        let answer = client.expect_response();
        assert_eq!(answer.json()["target"], "/slow");
        assert_eq!(answer.header("connection").as_deref(), Some("close"));
        client.expect_closed();
    }
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    assert!(gateway.log_messages().iter().any(|line| line == "drained"));
    assert_eq!(upstream.requests().len(), 14, "nothing came after");
}

#[test]
fn sigterm_lets_running_exchanges_finish() {
    finishes_what_runs(Signal::TERM);
}

#[test]
fn sigint_lets_running_exchanges_finish() {
    finishes_what_runs(Signal::INT);
}

#[test]
fn bodies_that_stream_in_both_directions_finish() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")?;
        held.pass();
        let second = conversation.receive_chunk()?;
        conversation.send(format!("{:x}\r\n", second.len()))?;
        conversation.send(second)?;
        conversation.send("\r\n0\r\n\r\n")
    });
    let mut gateway = before(&upstream, "").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.read_head().expect("the head of the answer");
    assert_eq!(client.read_chunk().unwrap(), b"one");
    gateway.signal(Signal::TERM);
    eventually!(Client::try_connect(gateway.address()).is_err());
    client.send("5\r\nworld\r\n0\r\n\r\n");
    gate.open();
    assert_eq!(client.read_chunk().unwrap(), b"world");
    assert_eq!(client.read_chunk().unwrap(), b"");
    client.expect_closed();
    assert_eq!(gateway.wait_for_end().code(), Some(0));
}

/// Connections that never said a word are held to the limit of a head, and no longer.
#[test]
fn silent_connections_do_not_hold_it_up() {
    let upstream = Upstream::echo();
    let settings = "client_timeouts: {header: 500ms}\ndrain: {shutdown: 50s}";
    let mut gateway = before(&upstream, settings).start();
    let mut silent: Vec<Client> = (0..5).map(|_| gateway.client()).collect();
    let mut half = gateway.client();
    half.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(gateway.terminate().code(), Some(0));
    for client in silent.iter_mut().chain([&mut half]) {
        client.expect_closed();
    }
    assert!(gateway.log_messages().iter().any(|line| line == "drained"));
}

#[test]
fn the_limit_ends_what_does_not_finish() {
    let gate = Gate::new();
    let upstream = slow(&gate);
    let mut gateway = before(&upstream, "drain: {shutdown: 300ms}").start();
    let mut client = gateway.client();
    client.send(SLOW);
    gate.wait_for_arrival();
    assert_eq!(gateway.terminate().code(), Some(0));
    client.expect_closed();
    let said = "exchanges were still running after 300ms, ending them";
    assert!(gateway.log_messages().iter().any(|line| line == said));
    gate.open();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let gate = Gate::new();
        let upstream = slow(&gate);
        let mut gateway = before(&upstream, "drain: {shutdown: 10m}").start();
        let mut client = gateway.client();
        client.send(SLOW);
        gate.wait_for_arrival();
        gateway.signal(Signal::TERM);
        gateway.wait_for_log("draining");
        gateway.signal(second);
        assert_eq!(gateway.wait_for_end().code(), Some(0));
        client.expect_closed();
        gate.open();
    }
}

/// Under load every request is either answered whole, or not at all: a client that lost its connection between two requests
/// may send again.
#[test]
fn under_load_no_answer_is_cut() {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let mut gateway = before(&upstream, "").start();
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let load = Load::start(gateway.address(), 8, request, |answer| {
        match answer.body == b"hello" {
            true => Ok(()),
            false => Err("not the answer".to_owned()),
        }
    });
    load.wait_for_more(200);
    assert_eq!(gateway.terminate().code(), Some(0));
    let outcome = load.stop();
    for failure in &outcome.failures {
        let without_answer =
            failure.starts_with("cannot connect: ") || failure.ends_with("; received: \"\"");
        assert!(without_answer, "{failure}");
    }
}

/// A drain holds for a reload as well: nothing is published any more.
#[test]
fn a_reload_during_a_drain_changes_nothing() {
    let gate = Gate::new();
    let upstream = slow(&gate);
    let mut gateway: Gateway = before(&upstream, "").start();
    let mut client = gateway.client();
    client.send(SLOW);
    gate.wait_for_arrival();
    gateway.signal(Signal::TERM);
    eventually!(Client::try_connect(gateway.address()).is_err());
    let generation = gateway.generation();
    gateway.rename_config("routes: []\n");
    for _ in 0..20 {
        gateway.signal(Signal::HUP);
    }
    assert_eq!(gateway.generation(), generation);
    gate.open();
    assert_eq!(client.expect_response().status, 200);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
}
