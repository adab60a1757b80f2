//! How far an end is, before which load balancers may have time, and when what a reload replaced comes to its own.

use rustix::process::Signal;
use swapgate_tests::{Client, Gate, Upstream, eventually, h2};

use super::{SLOW, before, slow};

#[test]
fn load_balancers_have_time_to_notice() {
    let upstream = Upstream::echo();
    let mut gateway = before(&upstream, "drain: {delay: 3s}").start();
    assert_eq!(gateway.admin("/readyz").status, 200);
    gateway.signal(Signal::TERM);
    gateway.wait_for_log("not ready any more, accepting for another 3s");
    assert_eq!(gateway.admin("/readyz").status, 503);
    assert_eq!(gateway.get("/").status, 200, "it accepts still");
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    assert!(Client::try_connect(gateway.address()).is_err());
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let upstream = Upstream::echo();
    let mut gateway = before(&upstream, "drain: {delay: 10m}").start();
    gateway.signal(Signal::TERM);
    gateway.wait_for_log("not ready any more");
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[test]
fn what_is_left_is_told_everywhere() {
    let gate = Gate::new();
    let upstream = slow(&gate);
    let mut gateway = before(&upstream, "drain: {shutdown: 10m}").start();
    let mut client = gateway.client();
    client.send(SLOW);
    gate.wait_for_arrival();
    assert!(gateway.status()["drain"].is_null());
    gateway.signal(Signal::TERM);
    let status =
        gateway.wait_for_status("what is left", |status| status["drain"]["exchanges"] == 1);
    assert_eq!(status["drain"]["connections"], 1);
    assert_eq!(status["drain"]["tunnels"], 0);
    assert!(status["drain"]["time_left_s"].as_u64() > Some(500));
    gateway.wait_for_metric("swapgate_drain_left{what=\"exchanges\"}", 1.0);
    gateway.wait_for_log("draining: 1 exchange, 0 tunnels and 1 connection are left, for 59");
    gate.open();
    assert_eq!(client.expect_response().status, 200);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
}

/// Another route, so that it is another configuration.
fn changed(number: usize) -> String {
    format!(
        "\
workers: 2
drain: {{max: 1s}}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}, {{name: more-{number}, service: up, paths: [/more]}}]
"
    )
}

#[test]
fn what_a_reload_replaced_ends_after_a_while() {
    let gate = Gate::new();
    let upstream = slow(&gate);
    let gateway = before(&upstream, "drain: {max: 1s}").start();
    let mut client = gateway.client();
    client.send(SLOW);
    let mut streams = h2::Connection::open(gateway.address());
    let slow = streams.ask(&h2::connection::get("/slow"), None);
    let mut kept = gateway.client();
    assert_eq!(kept.get("/").status, 200);
    upstream.wait_for_requests(3);

    gateway.reload_published(&changed(1));
    client.expect_closed();
    streams.until(|seen| seen.is_over(slow)).expect("a reset");
    let answer = streams.get("/").expect("the connection lives on");
    assert_eq!(answer.status, 200);
    assert_eq!(kept.get("/").status, 200, "so does one that was idle");
    gateway.wait_for_log("ran on for all of drain.max, ending them");
    eventually!(
        gateway.status()["draining"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    gate.open();
}
