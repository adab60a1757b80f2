//! Answers that plugins look at and change.

use crate::world::{
    BUFFER, NONE, OBSERVE, Plugin, TRANSFORM, as_the_contract_says, chunked, counted, gateway, nth,
    plugin, says, sized,
};

const TEXT: &str = "a secret, another secretsecret, secre, and at the end a secret";
const GONE: &str = "a [gone]!, another [gone]![gone]!, secre, and at the end a [gone]!";

#[test]
fn who_observes_sees_all_and_changes_nothing() {
    let upstream = says(sized("etag: \"a\"\r\naccept-ranges: bytes\r\n", TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("watch", NONE, OBSERVE)]);
    let answer = gateway.get("/");
    assert_eq!(answer.text(), TEXT);
    assert_eq!(
        answer.header("content-length"),
        Some(TEXT.len().to_string())
    );
    assert_eq!(answer.header("etag").as_deref(), Some(r#"\"a\""#));
    assert_eq!(answer.header("accept-ranges").as_deref(), Some("bytes"));
    counted(&gateway, "ends", 1.0);
    #[expect(clippy::cast_precision_loss, reason = "the text is short")]
    counted(&gateway, "bytes", TEXT.len() as f64);
    assert!(crate::world::count(&gateway, "forbidden") >= 5.0);
    as_the_contract_says(&gateway);
}

#[test]
fn a_word_is_replaced_wherever_the_pieces_end() {
    for size in [1, 2, 3, 5, 7, 16, 1000] {
        let upstream = says(chunked("", TEXT, size));
        let gateway = gateway(&upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)]);
        let answer = gateway.get("/");
        assert_eq!(answer.text(), GONE, "in pieces of {size}");
        assert_eq!(
            answer.header("transfer-encoding").as_deref(),
            Some("chunked")
        );
        counted(&gateway, "ends", 1.0);
        counted(&gateway, "firsts", 1.0);
    }
}

#[test]
fn a_changed_answer_loses_what_was_of_other_bytes() {
    let head = "etag: \"a\"\r\naccept-ranges: bytes\r\nrepr-digest: sha-256=:AA==:\r\n";
    let upstream = says(sized(head, TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)]);
    let request = "GET / HTTP/1.1\r\nHost: t\r\nRange: bytes=0-3\r\nAccept-Encoding: gzip\r\n\r\n";
    let answer = gateway.client().send(request).expect_response();
    assert_eq!(answer.text(), GONE);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("etag").as_deref(), Some(r#"W/\"a\""#));
    assert_eq!(answer.header("accept-ranges"), None);
    assert_eq!(answer.header("repr-digest"), None);
    let seen = nth(&upstream, 0);
    assert_eq!(seen.headers.get("range"), None);
    assert_eq!(
        seen.headers.get("accept-encoding").as_deref(),
        Some("identity")
    );
}

#[test]
fn what_is_known_as_a_whole_gets_its_new_length() {
    let json = r#"{"name":"bob","card":"4111 1111 1111 1111"}"#;
    let masked = r#"{"name":"bob","card":"***"}"#;
    for size in [1, 9, 1000] {
        let upstream = says(chunked("", json, size));
        let gateway = gateway(&upstream, "1MiB", &[plugin("mask", NONE, BUFFER)]);
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.get("/");
            assert_eq!(answer.text(), masked, "in pieces of {size}");
            assert_eq!(
                answer.header("content-length"),
                Some(masked.len().to_string())
            );
        }
    }
}

#[test]
fn one_after_the_other() {
    let upstream = says(chunked("", TEXT, 4));
    let second = Plugin {
        id: "body-two",
        priority: 50,
        ..plugin("sign", NONE, TRANSFORM)
    };
    let gateway = gateway(
        &upstream,
        "1MiB",
        &[plugin("replace", NONE, TRANSFORM), second],
    );
    assert_eq!(gateway.get("/").text(), format!("{GONE}--end"));
}

#[test]
fn an_old_client_reads_to_the_end_of_the_connection() {
    let upstream = says(sized("", TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)]);
    let answer = gateway
        .client()
        .send("GET / HTTP/1.0\r\n\r\n")
        .expect_response();
    assert_eq!(answer.text(), GONE);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[test]
fn answers_that_no_upstream_made() {
    let upstream = says(sized("", TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)]);
    let answer = gateway.get("/fixed");
    assert_eq!(answer.text(), "a [gone]! here");
    assert_eq!(answer.header("content-length").as_deref(), Some("14"));
    counted(&gateway, "ends", 1.0);
}

#[test]
fn an_empty_answer_has_an_end() {
    let upstream = says(sized("", ""));
    let gateway = gateway(&upstream, "1MiB", &[plugin("sign", NONE, TRANSFORM)]);
    let answer = gateway.get("/");
    assert_eq!(answer.text(), "--end");
    assert_eq!(answer.header("content-length").as_deref(), Some("5"));
    counted(&gateway, "ends", 1.0);
}

#[test]
fn nothing_may_be_left_of_it() {
    let upstream = says(sized("", TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("empty", NONE, TRANSFORM)]);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "");
    }
}

#[test]
fn buffers_of_a_plugin_are_released_once() {
    let upstream = says(chunked("", TEXT, 20));
    let gateway_own = gateway(&upstream, "1MiB", &[plugin("own", NONE, TRANSFORM)]);
    assert_eq!(gateway_own.get("/").text(), TEXT.to_uppercase());
    counted(&gateway_own, "ends", 1.0);
    let calls = crate::world::count(&gateway_own, "calls");
    counted(&gateway_own, "released", calls);
    let upstream = says(sized("", TEXT));
    let gateway = gateway(&upstream, "1MiB", &[plugin("own-twice", NONE, TRANSFORM)]);
    assert_eq!(gateway.get("/").text(), "gone");
    counted(&gateway, "released", 2.0);
}

#[test]
fn who_waits_holds_everything_and_goes_on() {
    let upstream = says(chunked("", TEXT, 9));
    let gateway = gateway(&upstream, "1MiB", &[plugin("wait", NONE, TRANSFORM)]);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), TEXT);
    }
    counted(&gateway, "ends", 2.0);
    as_the_contract_says(&gateway);
}
