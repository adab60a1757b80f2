//! Answers that are over before the request's body is, which goes on all the same.

use std::sync::{Arc, Mutex};

use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gateway, Upstream, wait_until};

use crate::world::{
    NONE, OBSERVE, TRANSFORM, as_the_contract_says, count, counted, gateway, gateway_with, plugin,
    text,
};

const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n";

type Seen = Arc<Mutex<Vec<u8>>>;

/// An upstream that answers a head at once and then reads the chunks that follow, until the last one.
fn hasty(answer: &'static str) -> (Upstream, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let upstream = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        conversation.send(answer)?;
        loop {
            let piece = conversation.receive_chunk()?;
            let last = piece.is_empty();
            kept.lock()
                .unwrap()
                .extend_from_slice(if last { b"." } else { &piece });
            if last {
                conversation.until_closed();
                return Ok(());
            }
        }
    });
    (upstream, seen)
}

fn begun(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("6\r\nfirst \r\n");
    assert_eq!(client.expect_response().text(), "early");
    client
}

#[track_caller]
fn ended_once(gateway: &Gateway, exchanges: f64) {
    counted(gateway, "gone", exchanges);
    counted(gateway, "logs", exchanges);
    as_the_contract_says(gateway);
}

#[test]
fn the_rest_of_the_request_still_reaches_the_upstream() {
    for answer in [SIZED, CHUNKED] {
        for (mode, request, response, expected) in [
            ("none", NONE, NONE, "first last."),
            ("watch", OBSERVE, NONE, "first last."),
            ("sign", TRANSFORM, NONE, "first last--end."),
            ("none", TRANSFORM, OBSERVE, "first last."),
        ] {
            let (upstream, seen) = hasty(answer);
            let gateway = gateway(&upstream, "1MiB", &[plugin(mode, request, response)]);
            let mut client = begun(&gateway);
            if request != NONE {
                assert_eq!(count(&gateway, "logs"), 0.0, "{mode}");
            }
            client.send("4\r\nlast\r\n0\r\n\r\n");
            wait_until("all of the body arrives", || {
                *seen.lock().unwrap() == expected.as_bytes()
            });
            ended_once(&gateway, 1.0);
            // Trailers might have come: the connection ends.
            client.expect_closed();
            let mut client = gateway.client();
            client.send("POST /fixed HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(client.expect_response().status, 200);
            ended_once(&gateway, 2.0);
        }
    }
}

/// What was answered is no more to do for anybody else, however long the rest of its body takes.
#[test]
fn an_exchange_that_was_answered_takes_no_place_from_others() {
    let (upstream, seen) = hasty(SIZED);
    let watch = plugin("watch", OBSERVE, NONE);
    let settings = ["overload: {requests: 1}", ""];
    let gateway = gateway_with(&upstream, "1MiB", settings, &[watch]);
    let mut client = begun(&gateway);
    wait_until("another one is served", || {
        gateway.get("/fixed").status == 200
    });
    client.send("4\r\nlast\r\n0\r\n\r\n");
    wait_until("all of the body arrives", || {
        *seen.lock().unwrap() == b"first last."
    });
}

/// Its plugins are those of before a reload, which do not stay for as long as a client likes to take.
#[test]
fn a_reload_limits_how_long_it_goes_on() {
    let (upstream, seen) = hasty(SIZED);
    let watch = [plugin("watch", OBSERVE, NONE)];
    let settings = ["drain: {max: 1s}", ""];
    let gateway = gateway_with(&upstream, "1MiB", settings, &watch);
    let mut client = begun(&gateway);
    assert_eq!(count(&gateway, "logs"), 0.0);
    gateway.reload_published(&text("2MiB", settings, &watch));
    ended_once(&gateway, 1.0);
    client.expect_closed();
    gateway.wait_for_log("ran on for all of drain.max, ending them");
    wait_until("nothing drains", || {
        let status = gateway.status();
        status["draining"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(*seen.lock().unwrap(), b"first ");
    assert_eq!(gateway.get("/fixed").status, 200);
}

#[test]
fn who_waits_in_it_goes_on() {
    let (upstream, seen) = hasty(SIZED);
    let gateway = gateway(&upstream, "1MiB", &[plugin("wait-first", TRANSFORM, NONE)]);
    let mut client = begun(&gateway);
    client.send("4\r\nlast\r\n0\r\n\r\n");
    wait_until("all of the body arrives", || {
        *seen.lock().unwrap() == b"first last."
    });
    ended_once(&gateway, 1.0);
    assert_eq!(count(&gateway, "cancels"), 0.0);
}

#[test]
fn a_client_that_goes_away_then_ends_it() {
    let (upstream, seen) = hasty(SIZED);
    let gateway = gateway(&upstream, "1MiB", &[plugin("watch", OBSERVE, NONE)]);
    let client = begun(&gateway);
    assert_eq!(count(&gateway, "logs"), 0.0);
    client.reset();
    ended_once(&gateway, 1.0);
    assert_eq!(*seen.lock().unwrap(), b"first ");
}

/// Also where a hook waits: it is told that nobody waits for it.
#[test]
fn an_upstream_that_goes_away_then_ends_it() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.send(SIZED)
    });
    let gateway = gateway(&upstream, "1MiB", &[plugin("wait-long", TRANSFORM, NONE)]);
    let _client = begun(&gateway);
    counted(&gateway, "cancels", 1.0);
    ended_once(&gateway, 1.0);
}

/// Nobody takes what the request's hook would pass on, so it is told at once, whatever the answer is waiting for.
#[test]
fn who_waits_for_a_body_that_nobody_takes_is_told() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.send(SIZED)
    });
    let waits = plugin("wait-long", TRANSFORM, TRANSFORM);
    let gateway = gateway(&upstream, "1MiB", &[waits]);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("6\r\nfirst \r\n");
    client.read_head().unwrap();
    counted(&gateway, "cancels", 1.0);
    assert_eq!(count(&gateway, "logs"), 0.0);
    client.reset();
    counted(&gateway, "cancels", 2.0);
    ended_once(&gateway, 1.0);
}

/// Where trailers end is a matter of opinion if a line of them ends with a single LF, and nobody may be there to read them.
#[test]
fn nothing_is_served_behind_trailers_that_come_after_the_answer() {
    const BEHIND: &str = "0\r\nX: a\n\nGET /hidden HTTP/1.1\r\nHost: t\r\n\r\nGET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
    for stays in [true, false] {
        let upstream = Upstream::start(move |conversation| {
            conversation.receive_head()?;
            conversation.receive_chunk()?;
            conversation.send(SIZED)?;
            if stays {
                conversation.until_closed();
            }
            Ok(())
        });
        let gateway = gateway(&upstream, "1MiB", &[plugin("none", NONE, NONE)]);
        let mut client = gateway.client();
        client.send("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send("6\r\nfirst \r\n");
        let answer = client.expect_response();
        assert_eq!(answer.header("connection").as_deref(), Some("close"));
        if !stays {
            wait_until("the target is gone", || upstream.open_connections() == 0);
        }
        let _ = client.try_send(BEHIND);
        let rest = match client.read_to_end() {
            Ok(rest) | Err(WireError::Reset(rest)) => rest,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(rest.escape_ascii().to_string(), "");
        ended_once(&gateway, 1.0);
    }
}
