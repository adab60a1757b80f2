//! Fields after a body, both ways.

use swapgate_tests::{Gateway, Upstream};

use crate::world::{
    NONE, OBSERVE, TRANSFORM, as_the_contract_says, count, counted, gateway, nth, plugin, says,
};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ntrailer: x-sum, host\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 42\r\nhost: evil\r\nx-unsaid: 1\r\n\r\n";

/// All that a client gets that takes trailers, or does not.
fn raw(gateway: &Gateway, takes: bool) -> String {
    let te = if takes {
        "TE: trailers\r\nConnection: te, close\r\n"
    } else {
        "Connection: close\r\n"
    };
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{te}\r\n"));
    String::from_utf8(client.read_to_end().unwrap()).unwrap()
}

#[test]
fn they_are_forwarded_to_who_takes_them() {
    let upstream = says(ANSWER);
    for plugins in [&[][..], &[plugin("watch", NONE, OBSERVE)]] {
        let gateway = gateway(&upstream, "1MiB", plugins);
        let got = raw(&gateway, true);
        assert!(got.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{got}");
        assert!(got.contains("trailer: x-sum\r\n"), "{got}");
        let got = raw(&gateway, false);
        assert!(got.ends_with("\r\nabc\r\n0\r\n\r\n"), "{got}");
        assert!(!got.contains("trailer"), "{got}");
        if !plugins.is_empty() {
            counted(&gateway, "trailers", 2.0);
            assert!(count(&gateway, "forbidden") > 0.0);
            as_the_contract_says(&gateway);
        }
    }
    let te = |at: usize| nth(&upstream, at).headers.get("te");
    assert_eq!((te(0).as_deref(), te(1)), (Some("trailers"), None));
}

/// The connection that they came on serves the next exchange.
#[test]
fn they_end_an_answer() {
    for plugins in [&[][..], &[plugin("watch", NONE, OBSERVE)]] {
        let upstream = says(ANSWER);
        let gateway = gateway(&upstream, "1MiB", plugins);
        for _ in 0..3 {
            raw(&gateway, true);
        }
        assert_eq!(upstream.connections(), 1);
    }
}

#[test]
fn who_transforms_may_change_them() {
    let upstream = says(ANSWER);
    let gateway = gateway(&upstream, "1MiB", &[plugin("sign", NONE, TRANSFORM)]);
    let got = raw(&gateway, true);
    assert!(
        got.ends_with("--end\r\n0\r\nx-sum: changed\r\n\r\n"),
        "{got}"
    );
    as_the_contract_says(&gateway);
}

#[test]
fn those_of_a_request_reach_the_upstream() {
    let upstream = Upstream::echo();
    for (at, mode, need, sum) in [
        (0, "none", NONE, "7"),
        (1, "watch", OBSERVE, "7"),
        (2, "sign", TRANSFORM, "changed"),
    ] {
        let gateway = gateway(&upstream, "1MiB", &[plugin(mode, need, NONE)]);
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: t\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\nhost: evil\r\n\r\n");
        assert_eq!(client.expect_response().status, 200);
        let seen = nth(&upstream, at);
        let raw = String::from_utf8(seen.raw_body).unwrap();
        assert!(
            raw.ends_with(&format!("0\r\nx-sum: {sum}\r\n\r\n")),
            "{raw}"
        );
        assert_eq!(seen.headers.get("trailer").as_deref(), Some("x-sum"));
    }
}
