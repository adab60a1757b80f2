//! Waiting, and going on.

use std::fs;

use swapgate_tests::{Gate, Gateway, Upstream, wait_until};

use super::{ask, prepared, request, seen, sent, started, wait_for_events, waiter};

#[test]
fn a_hook_goes_on_when_its_operation_is_done() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let answer = ask(&gateway, "sleep:50");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(seen(&answer, "x-waited").as_deref(), Some("access"));
    let answer = ask(&gateway, "filter:50");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-waited").as_deref(), Some("filter"));
    let answer = ask(&gateway, "respond:10");
    assert_eq!((answer.status, answer.text().as_str()), (403, "late"));
    let answer = ask(&gateway, "error:10");
    assert_eq!(answer.status, 500);
    gateway.wait_for_log("it waited in vain");
    assert_eq!(account(&gateway, "on_event"), (4.0, 1.0));
    assert_eq!(account(&gateway, "access"), (4.0, 0.0));
}

/// Calls and errors of a hook, in the account of the plugin.
#[track_caller]
fn account(gateway: &Gateway, phase: &str) -> (f64, f64) {
    let number = |what: &str| {
        let labels = format!("plugin=\"waiter\",version=\"1.0.0\",phase=\"{phase}\"");
        let series = format!("swapgate_plugin_{what}_total{{{labels}}}");
        let found = gateway.metrics().value(&series);
        found.unwrap_or_else(|| panic!("no {series}"))
    };
    (number("calls"), number("errors"))
}

#[test]
fn a_thread_wakes_a_hook() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let answer = ask(&gateway, "thread");
    assert_eq!(seen(&answer, "x-waited").as_deref(), Some("access"));
}

/// A hook that wakes itself whenever it is woken leaves the worker to everybody else in between.
#[test]
fn a_hook_that_wakes_itself_holds_up_nobody() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let mut spinning = sent(&gateway, "spin:1000");
    wait_until("it to be woken", || {
        let series = "swapgate_plugin_waiter_events_total{kind=\"wake\"}";
        gateway.metrics().value(series) > Some(0.0)
    });
    assert_eq!(ask(&gateway, "").status, 200);
    let answer = spinning.expect_response();
    assert_eq!(seen(&answer, "x-waited").as_deref(), Some("access"));
}

/// The token outlives its exchange, and using it says so and harms nobody.
#[test]
fn a_late_wake_is_stale() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    assert_eq!(ask(&gateway, "late").status, 200);
    wait_for_events(&gateway, "stale", 1.0);
    assert_eq!(ask(&gateway, "thread").status, 200);
}

/// An operation that nobody waits for is told without a phase.
#[test]
fn an_event_nobody_waits_for_is_only_told() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    let gateway = started(&upstream, "");
    let mut client = sent(&gateway, "told:10");
    wait_for_events(&gateway, "told", 1.0);
    gate.open();
    assert_eq!(client.expect_response().status, 200);
}

/// Where nobody waits for what failed, the exchange fails all the same: the later hooks of the instance are passed over,
/// and what they are there for with them.
#[test]
fn a_failure_nobody_waits_for_is_not_passed_over() {
    for (usage, word, status) in [
        ("", "panic:10", 500),
        ("", "odd:10", 500),
        (", on_error: open", "panic:10", 200),
        (", on_error: open", "odd:10", 500),
    ] {
        let gate = Gate::new();
        let held = gate.clone();
        let upstream = Upstream::answering(move |request| {
            held.pass();
            request.to_answer()
        });
        let gateway = prepared(&upstream, "", usage)
            .plugin_bytes("libwaiter.so", &waiter(&[]))
            .start();
        let mut client = sent(&gateway, word);
        wait_for_events(&gateway, "told", 1.0);
        gate.open();
        assert_eq!(client.expect_response().status, status, "{word}{usage}");
        assert_eq!(ask(&gateway, "").status, 200, "only this exchange failed");
    }
}

#[test]
fn operations_are_bounded_and_can_be_ended() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    let gateway = started(&upstream, "");
    let mut client = sent(&gateway, "many");
    let running = "swapgate_plugin_pending_operations{plugin=\"waiter\",version=\"1.0.0\"}";
    gateway.wait_for_metric(running, 64.0);
    gate.open();
    let answer = client.expect_response();
    assert_eq!(
        seen(&answer, "x-result").as_deref(),
        Some("-8"),
        "too large"
    );
    gateway.wait_for_metric(running, 0.0);
    let answer = ask(&gateway, "cancel:30");
    assert_eq!(
        seen(&answer, "x-result").as_deref(),
        Some("-4"),
        "not found"
    );
    assert_eq!(seen(&answer, "x-waited").as_deref(), Some("access"));
    wait_for_events(&gateway, "done", 1.0);
}

/// How many threads a gateway has.
fn threads(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/task", gateway.pid().as_raw_nonzero());
    fs::read_dir(folder).expect("the process runs").count()
}

/// A thousand requests wait on one worker, without a thread for each; all go on.
#[test]
fn a_thousand_requests_wait_on_one_worker() {
    const COUNT: usize = 1000;
    let upstream =
        Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let gateway = started(&upstream, "");
    assert_eq!(ask(&gateway, "sleep:1").status, 200);
    let before = threads(&gateway);
    let mut waiting: Vec<_> = (0..COUNT).map(|_| sent(&gateway, "hold")).collect();
    gateway.wait_for_metric("swapgate_plugin_waiter_holding", COUNT as f64);
    assert_eq!(threads(&gateway), before, "a thread for what only waits");
    assert_eq!(ask(&gateway, "release").status, 200);
    for client in &mut waiting {
        assert_eq!(client.expect_response().status, 200);
    }
    gateway.wait_for_metric("swapgate_plugin_waiter_holding", 0.0);
    // The same connections again, this time each with an operation.
    for client in &mut waiting {
        client.send(request("sleep:50"));
    }
    for client in &mut waiting {
        assert_eq!(client.expect_response().status, 200);
    }
}

/// What waits goes on in the version it began with; what comes after is the new one's.
#[test]
fn a_swap_loses_nobody_who_waits() {
    let upstream = Upstream::echo();
    let gateway = started(&upstream, "");
    let mut waiting: Vec<_> = (0..50).map(|_| sent(&gateway, "hold")).collect();
    gateway.wait_for_metric("swapgate_plugin_waiter_holding", 50.0);
    let mut sleeping: Vec<_> = (0..50).map(|_| sent(&gateway, "sleep:300")).collect();
    let next = waiter(&["-DVERSION=\"1.1.0\""]);
    gateway.plugins().rename(&next, "libwaiter.so");
    wait_until("the new version to serve", || {
        ask(&gateway, "").header("x-version").as_deref() == Some("1.1.0")
    });
    for client in &mut sleeping {
        assert_eq!(client.expect_response().status, 200);
    }
    let mut old = gateway.client();
    // Only the old version knows who holds: its clients go on when they are gone, or when their time is up.
    old.send(request("sleep:1"));
    assert_eq!(old.expect_response().status, 200);
    drop(waiting.split_off(25));
    wait_for_events(&gateway, "cancel", 25.0);
    drop(waiting);
    wait_for_events(&gateway, "cancel", 50.0);
}

/// Without `on_event` nothing can be waited for: the answer is one nobody knows, whatever `on_error` says.
#[test]
fn pending_without_on_event_is_refused() {
    let upstream = Upstream::echo();
    let gateway = prepared(&upstream, "", ", on_error: open")
        .plugin_bytes("libwaiter.so", &waiter(&["-DNO_EVENTS"]))
        .start();
    assert_eq!(ask(&gateway, "pending").status, 500);
    gateway.wait_for_log("SG_PENDING, where nothing can be waited for");
    assert_eq!(
        ask(&gateway, "sleep:1").status,
        200,
        "the call is refused, and the use is open"
    );
    // In a preflight it is found at once.
    let bad = waiter(&["-DNO_EVENTS", "-DALWAYS", "-DVERSION=\"2.0.0\""]);
    gateway.plugins().rename(&bad, "libwaiter.so");
    let said = "access answered the unknown code 1; mend the plugin";
    gateway.wait_for_log(said);
    assert_eq!(
        ask(&gateway, "").header("x-version").as_deref(),
        Some("1.0.0")
    );
}

/// A preflight begins nothing, and tells who waits there that nobody does.
#[test]
fn a_plugin_that_waits_at_once_passes_the_preflight() {
    let upstream = Upstream::echo();
    let gateway = prepared(&upstream, "limits: {plugin_wait: 100ms}", "")
        .plugin_bytes("libwaiter.so", &waiter(&["-DALWAYS"]))
        .start();
    assert_eq!(ask(&gateway, "").status, 500);
    wait_for_events(&gateway, "timeout", 1.0);
}
