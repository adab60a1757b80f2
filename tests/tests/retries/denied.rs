//! Requests that are sent once, whatever becomes of them.

use swapgate_tests::Upstream;

use super::{arrived, before, closes, hangs, is_unwell, request, resets};

const EVERYTHING: &str =
    "retries: {attempts: 5, on: [connect, reset, timeout, \"503\"], backoff: 1ms}";

#[test]
fn what_may_have_been_acted_upon_is_never_sent_twice() {
    // Only who never answers is waited for in vain: the others have as long as a busy machine needs.
    for (script, expected, response) in [
        (closes as fn(&mut _) -> _, 502, "60s"),
        (resets, 502, "60s"),
        (hangs, 504, "300ms"),
        (is_unwell, 503, "60s"),
    ] {
        let (first, second) = (Upstream::start(script), Upstream::start(script));
        let service = format!("{EVERYTHING}, timeouts: {{response: {response}}}");
        let gateway = before(&first, &second, &service).start();
        for (sent, method) in ["POST", "PATCH", "PURGE", "post"].into_iter().enumerate() {
            let mut client = gateway.client();
            let answer = client.send(request(method, "a body")).expect_response();
            assert_eq!(answer.status, expected, "{method}");
            assert_eq!(arrived(&first, &second), sent + 1, "{method}");
        }
        gateway.wait_for_metric(
            "swapgate_upstream_retries_denied_total{upstream=\"up\",why=\"method\"}",
            4.0,
        );
    }
}

/// Nothing is repeated that nobody asked for.
#[test]
fn without_retries_nothing_is_sent_twice() {
    for service in ["timeouts: {}", "retries: {on: [connect, timeout, \"500\"]}"] {
        let (first, second) = (Upstream::start(closes), Upstream::start(is_unwell));
        let gateway = before(&first, &second, service).start();
        let mut statuses = [0, 1].map(|_| gateway.get("/").status);
        statuses.sort_unstable();
        assert_eq!(statuses, [502, 503]);
        assert_eq!(arrived(&first, &second), 2);
    }
}

/// Requests earn what retries cost.
#[test]
fn a_storm_of_retries_ends_with_the_budget() {
    let (first, second) = (Upstream::start(is_unwell), Upstream::start(is_unwell));
    let service = "retries: {attempts: 1, on: [\"503\"], budget: 1, backoff: 1ms}";
    let gateway = before(&first, &second, service).start();
    let mut client = gateway.client();
    for _ in 0..300 {
        assert_eq!(client.get("/").status, 503);
    }
    let denied = "swapgate_upstream_retries_denied_total{upstream=\"up\",why=\"budget\"}";
    let metrics = gateway.metrics();
    let denied = metrics.value(denied).expect("it was counted");
    let again = "swapgate_upstream_retries_total{upstream=\"up\",reason=\"status\"}";
    let again = metrics.value(again).expect("some were sent again");
    assert!(denied > 0.0 && again >= 10.0, "{denied} {again}");
    let expected = 300.0 + again;
    assert_eq!(arrived(&first, &second).to_string(), expected.to_string());
}
