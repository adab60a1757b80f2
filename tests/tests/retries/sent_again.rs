//! Requests that are sent again, and answered.

use swapgate_tests::conversation::Conversation;
use swapgate_tests::unreachable::Refusing;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Upstream, eventually};

use super::{
    UNWELL, alone, arrived, babbles, bad_at_first, before, between, closes, hangs, is_unwell,
    request, resets,
};

type Script = fn(&mut Conversation) -> Result<(), WireError>;

const EVERYTHING: &str =
    "retries: {attempts: 2, on: [connect, reset, timeout, \"503\"], backoff: 1ms}";

/// Whatever the first target does, the other one answers, and each is asked at most once.
#[test]
fn what_failed_at_one_target_is_answered_by_the_other() {
    // Who never answers is waited for in vain each time, and still the good one must be able to answer within that.
    let ways: [(&str, Script, &str, &str); 5] = [
        ("closes", closes, "reset", "60s"),
        ("resets", resets, "reset", "60s"),
        ("babbles", babbles, "reset", "60s"),
        ("hangs", hangs, "timeout", "2s"),
        ("is unwell", is_unwell, "status", "60s"),
    ];
    for (name, script, reason, response) in ways {
        let (bad, good) = (Upstream::start(script), Upstream::echo());
        let service = format!("{EVERYTHING}, timeouts: {{response: {response}}}");
        let gateway = before(&bad, &good, &service).start();
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let mut client = gateway.client();
            // One of them goes to the bad one first.
            for _ in 0..2 {
                let answer = client.send(request(method, "")).expect_response();
                assert_eq!(answer.status, 200, "{name} {method}: {answer:?}");
            }
        }
        assert_eq!(good.requests().len(), 8, "{name}");
        let failed = bad.requests().len();
        assert!((4..=8).contains(&failed), "{name}: {failed}");
        let series = "swapgate_upstream_retries_total";
        let series = format!("{series}{{upstream=\"up\",reason=\"{reason}\"}}");
        let counted = gateway.metrics().value(&series).expect("it is counted");
        assert_eq!(counted.to_string(), failed.to_string(), "{name}");
    }
}

/// An interim answer (RFC 9110, 15.2) decides nothing: what may be sent again still is, and nothing else.
#[test]
fn what_gave_hints_may_be_asked_again() {
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let hints_only = |conversation: &mut Conversation| {
        conversation.receive()?;
        conversation.send(HINTS)
    };
    for (method, status, asked) in [("PUT", 200, 2), ("POST", 502, 1)] {
        let once = bad_at_first(1, hints_only);
        let service = "retries: {attempts: 1, on: [reset], backoff: 1ms}";
        let gateway = alone(&once, service).start();
        let mut client = gateway.client();
        let answer = client.send(request(method, "body")).expect_response();
        assert_eq!((answer.status, &answer.interim[..]), (status, &[103][..]));
        assert_eq!(once.requests().len(), asked, "{method}");
    }
}

#[test]
fn the_only_target_is_asked_again() {
    let once = bad_at_first(1, closes);
    let gateway = alone(&once, "retries: {attempts: 1, backoff: 1ms}").start();
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(once.requests().len(), 2);
}

/// The answer of the last attempt is passed on as it is.
#[test]
fn attempts_are_counted_and_the_last_answer_is_passed_on() {
    let (first, second) = (Upstream::start(is_unwell), Upstream::start(is_unwell));
    let service = "retries: {attempts: 3, on: [\"503\"], backoff: 1ms}";
    let gateway = before(&first, &second, service).start();
    let answer = gateway.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (503, "unwell"));
    assert_eq!(arrived(&first, &second), 4);
    assert_eq!(first.requests().len(), 2, "each in turn");
    gateway.wait_for_metric(
        "swapgate_upstream_retries_denied_total{upstream=\"up\",why=\"attempts\"}",
        1.0,
    );
    // What was said was read away, so the connections live on.
    assert_eq!(gateway.get("/").status, 503);
    assert_eq!(first.connections() + second.connections(), 2);
}

/// Nobody reads an answer away that is large; its connection ends.
#[test]
fn a_large_bad_answer_costs_its_connection_and_no_memory() {
    let large = Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 503 No\r\ncontent-length: 1000000000000\r\n\r\n")?;
        let piece = vec![b'x'; 1 << 16];
        loop {
            conversation.send(&piece)?;
        }
    });
    let good = Upstream::echo();
    let service = "retries: {attempts: 1, on: [\"500-599\"]}";
    let gateway = before(&large, &good, service).start();
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 200);
    }
    eventually!(large.open_connections() == 0);
}

#[test]
fn a_connect_that_fails_goes_on_also_with_retries() {
    let (gone, good) = (Refusing::new(), Upstream::echo());
    for (service, expected) in [
        ("timeouts: {}", 200),
        ("retries: {attempts: 1}", 200),
        ("retries: {attempts: 1, budget: 0}", 200),
        ("retries: {attempts: 0}", 502),
        ("retries: {on: [\"503\"]}", 502),
    ] {
        let gateway = between(gone.address(), good.address(), ["", service]).start();
        let mut client = gateway.client();
        let answers = [0, 1].map(|_| client.send(request("POST", "x")).expect_response().status);
        assert!(answers.contains(&200), "one of two begins at the good one");
        assert!(answers.contains(&expected), "{service}: {answers:?}");
    }
}

#[test]
fn a_client_of_http_1_0_is_answered_as_well() {
    let (bad, good) = (Upstream::start(closes), Upstream::fixed(UNWELL));
    let gateway = before(&bad, &good, "retries: {attempts: 1}").start();
    for _ in 0..2 {
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.expect_response().status, 503);
    }
}
