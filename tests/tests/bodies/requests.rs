//! Requests that plugins look at and change.

use swapgate_tests::{Client, Upstream};

use crate::world::{
    BUFFER, NONE, OBSERVE, TRANSFORM, as_the_contract_says, chunks, count, counted, gateway,
    gateway_with, nth, plugin, post,
};

const TEXT: &str = "a secret, another secretsecret, secre, and at the end a secret";
const GONE: &str = "a [gone]!, another [gone]![gone]!, secre, and at the end a [gone]!";

fn post_chunked(client: &mut Client, body: &str, size: usize) -> u16 {
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunks(body, size)).expect_response().status
}

#[test]
fn who_observes_sees_all_and_changes_nothing() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("watch", OBSERVE, NONE)]);
    let mut client = gateway.client();
    post(&mut client, "Content-Digest: sha-256=:AA==:\r\n", TEXT);
    let seen = nth(&upstream, 0);
    assert_eq!(seen.body, TEXT.as_bytes());
    assert_eq!(
        seen.headers.get("content-length"),
        Some(TEXT.len().to_string())
    );
    assert!(seen.headers.get("content-digest").is_some());
    counted(&gateway, "ends", 1.0);
    assert_eq!(post_chunked(&mut client, TEXT, 7), 200);
    assert_eq!(nth(&upstream, 1).body, TEXT.as_bytes());
    counted(&gateway, "ends", 2.0);
    #[expect(clippy::cast_precision_loss, reason = "the text is short")]
    counted(&gateway, "bytes", 2.0 * TEXT.len() as f64);
    as_the_contract_says(&gateway);
}

#[test]
fn a_word_is_replaced_wherever_the_pieces_end() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", TRANSFORM, NONE)]);
    let mut client = gateway.client();
    post(&mut client, "Content-Digest: sha-256=:AA==:\r\n", TEXT);
    for (number, size) in [1, 2, 3, 5, 7, 1000].into_iter().enumerate() {
        assert_eq!(post_chunked(&mut client, TEXT, size), 200);
        assert_eq!(nth(&upstream, number + 1).body, GONE.as_bytes());
    }
    let seen = nth(&upstream, 0);
    assert_eq!(seen.body, GONE.as_bytes());
    assert_eq!(seen.headers.get("content-length"), None);
    assert_eq!(seen.headers.get("content-digest"), None);
    assert_eq!(
        seen.headers.get("transfer-encoding").as_deref(),
        Some("chunked")
    );
}

#[test]
fn what_is_known_as_a_whole_gets_its_new_length() {
    let json = r#"{"name":"bob","card":"4111 1111 1111 1111"}"#;
    let masked = r#"{"name":"bob","card":"***"}"#;
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("mask", BUFFER, NONE)]);
    let mut client = gateway.client();
    post(&mut client, "", json);
    assert_eq!(post_chunked(&mut client, json, 3), 200);
    for number in 0..2 {
        let seen = nth(&upstream, number);
        assert_eq!(seen.body, masked.as_bytes());
        assert_eq!(
            seen.headers.get("content-length"),
            Some(masked.len().to_string())
        );
    }
}

#[test]
fn a_request_without_a_body_has_an_end() {
    let upstream = Upstream::echo();
    let watching = gateway(&upstream, "1MiB", &[plugin("replace", TRANSFORM, NONE)]);
    assert_eq!(watching.get("/").status, 200);
    let seen = nth(&upstream, 0);
    assert_eq!(seen.headers.get("content-length"), None);
    assert_eq!(seen.headers.get("transfer-encoding"), None);
    counted(&watching, "ends", 1.0);
    let gateway = gateway(&upstream, "1MiB", &[plugin("sign", TRANSFORM, NONE)]);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(nth(&upstream, 1).body, b"--end");
}

#[test]
fn a_body_of_nothing_keeps_its_length() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", TRANSFORM, NONE)]);
    let mut client = gateway.client();
    post(&mut client, "", "");
    let length = nth(&upstream, 0).headers.get("content-length");
    assert_eq!(length.as_deref(), Some("0"));
}

#[test]
fn nothing_may_be_left_of_it() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("empty", BUFFER, NONE)]);
    let mut client = gateway.client();
    post(&mut client, "", TEXT);
    assert_eq!(nth(&upstream, 0).body, b"");
}

#[test]
fn the_head_changes_while_it_waits() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("head", BUFFER, NONE)]);
    let mut client = gateway.client();
    assert_eq!(post_chunked(&mut client, TEXT, 7), 200);
    let seen = nth(&upstream, 0);
    assert_eq!(seen.headers.get("x-len").as_deref(), Some("known"));
    assert_eq!(seen.body, TEXT.as_bytes());
    as_the_contract_says(&gateway);
}

#[test]
fn who_waits_holds_the_client_back() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("wait", TRANSFORM, NONE)]);
    let mut client = gateway.client();
    for number in 0..2 {
        assert_eq!(post_chunked(&mut client, TEXT, 9), 200);
        assert_eq!(nth(&upstream, number).body, TEXT.as_bytes());
    }
    counted(&gateway, "ends", 2.0);
    as_the_contract_says(&gateway);
}

/// The upstream has its time to answer from when it has the request.
#[test]
fn who_waits_takes_nothing_of_the_upstreams_time() {
    let upstream = Upstream::echo();
    let short = ", timeouts: {response: 300ms}";
    let gateway = gateway_with(
        &upstream,
        "1MiB",
        ["", short],
        &[plugin("wait-first", TRANSFORM, NONE)],
    );
    let mut client = gateway.client();
    assert_eq!(post(&mut client, "", TEXT).status, 200);
    assert_eq!(post_chunked(&mut client, TEXT, 9), 200);
    assert_eq!(nth(&upstream, 1).body, TEXT.as_bytes());
}

#[test]
fn a_plugin_answers_instead_of_the_upstream() {
    for (mode, need, reaches) in [("refuse", TRANSFORM, true), ("refuse-end", BUFFER, false)] {
        let upstream = Upstream::echo();
        let gateway = gateway(&upstream, "1MiB", &[plugin(mode, need, NONE)]);
        let mut client = gateway.client();
        let answer = post(&mut client, "", TEXT);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "not this body")
        );
        assert_eq!(answer.header("x-by").as_deref(), Some("body-test"));
        assert!(reaches || upstream.connections() == 0);
        assert_eq!(upstream.requests().len(), 0);
        counted(&gateway, "firsts", 1.0);
        let answer = post(&mut gateway.client(), "", TEXT);
        assert_eq!(answer.status, 403);
    }
}

#[test]
fn a_client_that_goes_away_is_no_fault_of_anybody() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("keep", BUFFER, NONE)]);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nonly this");
    counted(&gateway, "calls", 1.0);
    client.reset();
    let mut client = gateway.client();
    assert_eq!(post(&mut client, "", TEXT).status, 200);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(count(&gateway, "ends"), 1.0);
}

/// Whoever waits is told that nobody waits for it, and what it keeps is gone.
#[test]
fn a_client_that_goes_away_cancels_who_waits() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "1MiB", &[plugin("wait-long", BUFFER, NONE)]);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nonly this");
    let kept = "swapgate_plugin_buffered_bytes{plugin=\"body-test\",version=\"0.1.0\"}";
    gateway.wait_for_metric(kept, 9.0);
    client.reset();
    counted(&gateway, "cancels", 1.0);
    gateway.wait_for_metric(kept, 0.0);
    assert_eq!(upstream.connections(), 0);
}
