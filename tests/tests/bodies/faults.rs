//! Plugins that keep too much, fail, or answer what they may not.

use swapgate_tests::{Upstream, wait_until};

use crate::world::{
    BUFFER, NONE, OBSERVE, Plugin, TRANSFORM, chunked, counted, gateway, gateway_with, nth, plugin,
    post, says, sized,
};

const KIB: usize = 1024;

#[test]
fn a_request_that_is_kept_beyond_the_limit() {
    for mode in ["keep", "hold"] {
        let upstream = Upstream::echo();
        let keeps = Plugin {
            keep: 4096,
            ..plugin(mode, BUFFER, NONE)
        };
        let gateway = gateway(&upstream, "1MiB", &[keeps]);
        assert_eq!(
            post(&mut gateway.client(), "", &"x".repeat(4 * KIB)).status,
            200
        );
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(crate::world::chunks(&"x".repeat(256 * KIB), 1000));
        let answer = client.expect_response();
        assert_eq!(answer.status, 413, "{answer:?}");
        let detail = answer.json()["detail"].clone();
        assert_eq!(detail, "the request body is larger than 4096 bytes");
        assert_eq!(upstream.requests().len(), 1);
        let series = "swapgate_plugin_errors_total";
        assert!(
            gateway.metrics().text.contains(series),
            "{}",
            gateway.metrics().text
        );
        gateway.wait_for_log("plugin body-test@0.1.0 keeps more than 4096 bytes of the body");
    }
}

#[test]
fn an_answer_that_is_kept_beyond_the_limit() {
    let upstream = says(chunked("", &"x".repeat(256 * KIB), 1000));
    let gateway = gateway(&upstream, "64KiB", &[plugin("keep", NONE, BUFFER)]);
    let answer = gateway.get("/");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(
        answer.json()["detail"],
        "the answer is larger than the 65536 bytes that can be processed here"
    );
}

#[test]
fn who_fails_before_the_head_is_an_answer() {
    let upstream = says(sized("", "x"));
    let gateway = gateway(&upstream, "64KiB", &[plugin("fail", NONE, BUFFER)]);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 500);
    }
    gateway.wait_for_log("as the test asked");
}

/// The request's body was too large to be read away, so nothing can follow on that connection.
#[test]
fn who_fails_before_the_head_leaves_the_end_of_the_connection_said() {
    let upstream = says(sized("", "x"));
    let gateway = gateway(&upstream, "64MiB", &[plugin("fail", NONE, BUFFER)]);
    let mut client = gateway.client();
    client.send("POST /fixed HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n");
    let answer = client.expect_response();
    assert_eq!(answer.status, 500);
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    client.expect_closed();
}

#[test]
fn who_fails_after_the_head_resets() {
    let upstream = says(chunked("", "one two three", 3));
    for mode in ["fail", "unknown"] {
        let gateway = gateway(&upstream, "64KiB", &[plugin(mode, NONE, TRANSFORM)]);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let whole = client.read_response("GET");
        assert!(whole.is_err(), "{whole:?}");
    }
}

#[test]
fn who_fails_with_an_open_use_is_out_and_the_rest_goes_on() {
    let open = Plugin {
        use_: ", on_error: open",
        ..plugin("fail", TRANSFORM, TRANSFORM)
    };
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "64KiB", &[open]);
    let mut client = gateway.client();
    let answer = post(&mut client, "", "as it was");
    assert_eq!(answer.json()["body"], "as it was");
    assert_eq!(nth(&upstream, 0).body, b"as it was");
    counted(&gateway, "calls", 2.0);
}

#[test]
fn who_panicked_is_called_no_more() {
    let open = Plugin {
        use_: ", on_error: open",
        ..plugin("panic", TRANSFORM, TRANSFORM)
    };
    let upstream = says(chunked("", "one two three", 3));
    let gateway = gateway(&upstream, "64KiB", &[open]);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(crate::world::chunks("abcdef", 2));
    assert_eq!(client.expect_response().text(), "one two three");
    assert_eq!(nth(&upstream, 0).body, b"abcdef");
    counted(&gateway, "calls", 1.0);
}

/// A breaker asks before the first hook, whichever that is, and closes when an exchange went well.
#[test]
fn who_sees_nothing_but_bodies_is_left_alone_and_called_again() {
    let panics = Plugin {
        bodies_only: true,
        ..plugin("panic", TRANSFORM, NONE)
    };
    let upstream = Upstream::echo();
    let settings = "faults: {breaker: {faults: 1, window: 60s, open: 2s}}";
    let gateway = gateway_with(&upstream, "64KiB", [settings, ""], &[panics]);
    let mut client = gateway.client();
    // Without its end, so that the hook is called for a piece alone.
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    assert_eq!(client.expect_response().status, 500);
    gateway.wait_for_log("the breaker of plugin body-test@0.1.0 opened");
    wait_until("it to be called again", || {
        post(&mut gateway.client(), "", "x").status == 200
    });
    gateway.wait_for_log("the breaker of plugin body-test@0.1.0 closed");
    assert_eq!(post(&mut gateway.client(), "", "x").status, 200);
}

#[test]
fn who_fails_on_the_way_up_is_an_answer() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "64KiB", &[plugin("fail", TRANSFORM, NONE)]);
    let answer = post(&mut gateway.client(), "", "x");
    assert_eq!(answer.status, 500);
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn who_buffers_at_the_end_or_without_having_said_so_is_refused_or_fails() {
    let upstream = says(chunked("", "one two three", 3));
    let gateway = gateway(&upstream, "64KiB", &[plugin("keep", NONE, OBSERVE)]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert!(client.read_response("GET").is_err());
    gateway.wait_for_log("it answered SG_BUFFER, where nothing can be kept");
}
