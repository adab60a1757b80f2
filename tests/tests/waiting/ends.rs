//! Waits that end otherwise: the client is gone, the time is up, the gateway shuts down.

use swapgate_tests::{Client, Gateway, Upstream, eventually};

use super::{ask, prepared, request, seen, sent, started, wait_for_events, waiter};

/// The wait of a client that left is cancelled, whatever it had sent before.
#[test]
fn a_client_that_leaves_is_not_waited_for() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let hold = |gateway: &Gateway, body: &str| -> Client {
        let mut client = gateway.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: test\r\nx-do: hold\r\n{body}"
        ));
        client
    };
    let bodies = [
        "\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 500000\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ];
    let mut count = 0.0;
    for body in bodies {
        for reset in [false, true] {
            let client = hold(&gateway, body);
            gateway.wait_for_metric("swapgate_plugin_waiter_holding", count + 1.0);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            count += 1.0;
            wait_for_events(&gateway, "cancel", count);
        }
    }
    assert_eq!(ask(&gateway, "sleep:1").status, 200);
    assert_eq!(upstream.requests().len(), 1, "none of them was sent on");
}

/// A client that waits patiently is left alone by whatever looks for it.
#[test]
fn a_client_that_stays_is_waited_for() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let mut client = gateway.client();
    client
        .send("POST / HTTP/1.1\r\nHost: test\r\nx-do: sleep:900\r\nContent-Length: 5\r\n\r\nhello");
    let answer = client.expect_response();
    assert_eq!(answer.json()["body"], "hello");
    assert_eq!(seen(&answer, "x-waited").as_deref(), Some("access"));
}

#[test]
fn a_wait_has_a_limit() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "limits: {plugin_wait: 100ms}");
    let answer = ask(&gateway, "hold");
    assert_eq!(answer.status, 500);
    wait_for_events(&gateway, "timeout", 1.0);
    gateway.wait_for_log("limits.plugin_wait");
}

#[test]
fn a_wait_that_lasts_too_long_is_passed_over_where_the_use_is_open() {
    let upstream = Upstream::echo();
    let gateway = prepared(
        &upstream,
        "limits: {plugin_wait: 100ms}",
        ", on_error: open",
    )
    .plugin_bytes("libwaiter.so", &waiter(&[]))
    .start();
    let answer = ask(&gateway, "hold");
    assert_eq!(answer.status, 200);
    assert_eq!(seen(&answer, "x-waited"), None);
    // It is in the request's lane no more, and still in the other one.
    assert_eq!(answer.header("x-version").as_deref(), Some("1.0.0"));
    wait_for_events(&gateway, "timeout", 1.0);
}

/// Who waits is told once that the gateway is shutting down, and at the deadline that nobody waits.
#[test]
fn a_shutdown_is_told_to_who_waits() {
    let upstream = Upstream::echo();
    let mut gateway = started(&upstream, "drain: {shutdown: 1500ms}");
    let mut holding = sent(&gateway, "hold");
    let mut sleeping = sent(&gateway, "sleep:600");
    gateway.wait_for_metric("swapgate_plugin_waiter_holding", 1.0);
    gateway.signal(rustix::process::Signal::TERM);
    eventually!(Client::try_connect(gateway.address()).is_err());
    wait_for_events(&gateway, "drain", 2.0);
    assert_eq!(sleeping.expect_response().status, 200);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    holding.expect_closed();
    let told = gateway.log_messages();
    let cancelled = told
        .iter()
        .filter(|line| *line == "nobody waits for it any more");
    assert_eq!(cancelled.count(), 1, "{told:?}");
}

/// `timeouts.total` covers the plugins of the answer as well, until the answer's head leaves and after.
#[test]
fn the_time_for_all_of_it_ends_a_hook_of_the_answer() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(
        "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up, timeouts: {total: 500ms}}]
routes: [{name: all, service: up, plugins: [{name: waiter}]}]
",
    )
    .set("up", upstream.address())
    .plugin_bytes("libwaiter.so", &waiter(&[]))
    .start();
    let mut client = gateway.client();
    let answer = client.send(request("filter:19000")).expect_response();
    assert_eq!(answer.status, 504, "{answer:?}");
    wait_for_events(&gateway, "cancel", 1.0);
    let answer = client.send(request("filter:1")).expect_response();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-waited").as_deref(), Some("filter"));
}
