//! The circuit breaker of an upstream, each change of its state seen from outside: in the log, the metrics and the Admin
//! API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use swapgate_tests::{Client, Gateway, Response, Upstream, eventually, wait_for};

use super::world::{Slow, refused, sent};

/// An upstream that answers with the status it is told to.
struct Moody {
    upstream: Upstream,
    status: Arc<AtomicU16>,
}

impl Moody {
    fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let said = Arc::clone(&status);
        let upstream = Upstream::answering(move |_| {
            let status = said.load(Ordering::SeqCst);
            format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\nup").into_bytes()
        });
        Self { upstream, status }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn config(breaker: &str) -> String {
    format!(
        "\
workers: 2
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}], breaker: {{{breaker}}}}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    )
}

fn started(upstream: &Upstream, breaker: &str) -> Gateway {
    let gateway = Gateway::with(&config(breaker));
    gateway.set("up", upstream.address()).start()
}

/// What the Admin API says of it.
#[track_caller]
fn shown(gateway: &Gateway) -> Value {
    gateway.admin("/upstreams").json()["upstreams"][0]["breaker"].clone()
}

/// Demands that everybody says the same of its state; the counts are of changes to closed, half-open and open.
#[track_caller]
fn check(gateway: &Gateway, state: &str, number: f64, counts: [f64; 3]) {
    assert_eq!(shown(gateway)["state"], state);
    let metrics = gateway.metrics();
    let shown = metrics.value("swapgate_breaker_state{upstream=\"up\"}");
    assert_eq!(shown, Some(number));
    for (to, count) in ["closed", "half-open", "open"].iter().zip(counts) {
        let series = format!("swapgate_breaker_transitions_total{{upstream=\"up\",to=\"{to}\"}}");
        assert_eq!(metrics.value(&series), Some(count), "{to}");
    }
}

#[track_caller]
fn ask(gateway: &Gateway, times: usize, status: u16) -> Response {
    let mut last = None;
    for _ in 0..times {
        let answer = gateway.get("/");
        assert_eq!(answer.status, status);
        last = Some(answer);
    }
    last.expect("at least one")
}

/// Asks until the time of an open breaker is over and the upstream was asked.
#[track_caller]
fn ask_until_tried(gateway: &Gateway, upstream: &Upstream) -> Response {
    let before = upstream.requests().len();
    let mut last = None;
    eventually!({
        last = Some(gateway.get("/"));
        upstream.requests().len() > before
    });
    last.expect("at least one")
}

/// Asks until a request is let through as a trial, which the upstream then holds back.
#[track_caller]
fn trial(gateway: &Gateway, slow: &Slow, path: &str) -> Client {
    let refusals = || {
        let series = "swapgate_upstream_refused_total{upstream=\"up\",why=\"breaker\"}";
        gateway.metrics().value(series)
    };
    wait_for("a trial", || {
        let (held, refused) = (slow.has(), refusals());
        let client = sent(gateway, path);
        eventually!(slow.has() > held || refusals() > refused);
        (slow.has() > held).then_some(client)
    })
}

#[test]
fn it_opens_and_leaves_the_upstream_alone() {
    let moody = Moody::start();
    let gateway = started(
        &moody.upstream,
        "failures: 50, requests: 10, window: 1h, open: 1h, trials: 2",
    );
    check(&gateway, "closed", 0.0, [0.0; 3]);
    ask(&gateway, 5, 200);
    moody.says(500);
    ask(&gateway, 4, 500);
    check(&gateway, "closed", 0.0, [0.0; 3]);
    assert_eq!(shown(&gateway)["requests"], 9);
    assert_eq!(shown(&gateway)["failures"], 4);
    ask(&gateway, 1, 500);
    check(&gateway, "open", 2.0, [0.0, 0.0, 1.0]);
    gateway.wait_for_log("breaker of upstream up is open: 5 of 10 requests within 3600s failed");
    let after = refused(&gateway.get("/"));
    assert!((3500..=3600).contains(&after), "{after}");
    assert_eq!(moody.upstream.requests().len(), 10, "it is left alone");
}

/// Nobody demands to be refused here: however slow the machine is, each state lasts until a request ends it.
#[test]
fn it_half_opens_opens_again_and_closes() {
    let moody = Moody::start();
    let gateway = started(
        &moody.upstream,
        "failures: 50, requests: 3, window: 1h, open: 500ms, trials: 2",
    );
    moody.says(500);
    ask(&gateway, 3, 500);
    check(&gateway, "open", 2.0, [0.0, 0.0, 1.0]);
    assert_eq!(ask_until_tried(&gateway, &moody.upstream).status, 500);
    check(&gateway, "open", 2.0, [0.0, 1.0, 2.0]);
    gateway.wait_for_log("breaker of upstream up is half-open: 2 requests try it");
    gateway.wait_for_log("breaker of upstream up is open again: a trial failed");

    moody.says(200);
    assert_eq!(ask_until_tried(&gateway, &moody.upstream).status, 200);
    check(&gateway, "half-open", 1.0, [0.0, 2.0, 2.0]);
    ask(&gateway, 1, 200);
    check(&gateway, "closed", 0.0, [1.0, 2.0, 2.0]);
    gateway.wait_for_log("breaker of upstream up is closed: all trials went well");
    assert_eq!(shown(&gateway)["requests"], 0, "it begins anew");
    ask(&gateway, 5, 200);
}

#[test]
fn no_answer_is_a_failure_and_the_fallback_takes_its_place() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive()?;
        Ok(())
    });
    let gateway = started(
        &upstream,
        "failures: 100, requests: 3, window: 60s, open: 1h, trials: 1, \
         fallback: {status: 200, headers: {x-from: fallback}, body: later}",
    );
    ask(&gateway, 3, 502);
    let answer = ask(&gateway, 5, 200);
    assert_eq!(answer.text(), "later");
    assert_eq!(answer.header("x-from").as_deref(), Some("fallback"));
    assert_eq!(upstream.requests().len(), 3);
    let refused = "swapgate_upstream_refused_total{upstream=\"up\",why=\"breaker\"}";
    assert_eq!(gateway.metrics().value(refused), Some(5.0));
}

#[test]
fn what_the_client_does_wrong_is_no_failure() {
    let slow = Slow::start();
    let gateway = started(
        &slow.upstream,
        "failures: 1, requests: 1, window: 60s, open: 1h, trials: 1",
    );
    let client = sent(&gateway, "/");
    // One that leaves before its connection was accepted has asked for nothing.
    eventually!(slow.has() == 1);
    client.reset();
    let mut broken = gateway.client();
    broken.send("POST / HTTP/1.1\r\nHost: test\r\ntransfer-encoding: chunked\r\n\r\nnone\r\n");
    assert_eq!(broken.expect_response().status, 400);
    gateway.wait_for_metric(
        "swapgate_requests_total{route=\"all\",service=\"up\",status=\"none\"}",
        1.0,
    );
    slow.let_go(9);
    ask(&gateway, 1, 200);
    check(&gateway, "closed", 0.0, [0.0; 3]);
}

#[test]
fn no_more_trials_than_it_says_and_who_leaves_gives_theirs_back() {
    let slow = Slow::start();
    let open = |open: &str| {
        format!(
            "failures: 1, requests: 1, window: 1h, open: {open}, trials: 2, statuses: [\"200\"]"
        )
    };
    let gateway = started(&slow.upstream, &open("500ms"));
    slow.let_go(1);
    ask(&gateway, 1, 200);
    check(&gateway, "open", 2.0, [0.0, 0.0, 1.0]);
    // From now on trials hold their places for as long as the machine may need for what follows.
    gateway.reload_published(&config(&open("1h")));
    let first = trial(&gateway, &slow, "/first");
    let gone = trial(&gateway, &slow, "/gone");
    assert_eq!(refused(&gateway.get("/")), 1);
    check(&gateway, "half-open", 1.0, [0.0, 1.0, 1.0]);
    gone.reset();
    let second = trial(&gateway, &slow, "/second");
    assert_eq!(refused(&gateway.get("/")), 1);
    assert_eq!(slow.had(), 3, "two trials, and the one that left");
    // Nor do those hold their places for ever that do not end.
    gateway.reload_published(&config(&open("500ms")));
    let third = trial(&gateway, &slow, "/third");
    assert_eq!(slow.has(), 4);
    check(&gateway, "half-open", 1.0, [0.0, 1.0, 1.0]);
    drop((first, second, third));
}

#[test]
fn a_reload_that_asks_for_no_more_trials_than_went_well_closes_it() {
    let moody = Moody::start();
    moody.says(503);
    let text = "failures: 50, requests: 2, window: 60s, open: 100ms";
    let gateway = started(&moody.upstream, &format!("{text}, trials: 2"));
    ask(&gateway, 2, 503);
    moody.says(200);
    assert_eq!(ask_until_tried(&gateway, &moody.upstream).status, 200);
    check(&gateway, "half-open", 1.0, [0.0, 1.0, 1.0]);
    gateway.reload_published(&config(&format!("{text}, trials: 1")));
    check(&gateway, "closed", 0.0, [1.0, 1.0, 1.0]);
    ask(&gateway, 3, 200);
}

#[test]
fn a_reload_keeps_its_state_and_takes_new_numbers() {
    let moody = Moody::start();
    moody.says(503);
    let text = "failures: 50, requests: 2, window: 60s, open: 1h, trials: 1";
    let gateway = started(&moody.upstream, text);
    ask(&gateway, 2, 503);
    check(&gateway, "open", 2.0, [0.0, 0.0, 1.0]);
    gateway.reload_published(&config(&format!("{text}, fallback: {{status: 204}}")));
    ask(&gateway, 1, 204);
    check(&gateway, "open", 2.0, [0.0, 0.0, 1.0]);
}
