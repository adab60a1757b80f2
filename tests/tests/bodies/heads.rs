//! Messages without a body, and plugins that want nothing of one.

use swapgate_tests::{Gateway, Upstream};

use crate::world::{
    NONE, OBSERVE, TRANSFORM, as_the_contract_says, count, counted, gateway, plugin, says, sized,
};

fn replacing(upstream: &Upstream) -> Gateway {
    gateway(upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)])
}

#[test]
fn the_answer_to_head_has_the_head_of_get() {
    let upstream = says("HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 62\r\n\r\n");
    let gateway = replacing(&upstream);
    let mut client = gateway.client();
    for path in ["/", "/fixed"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let answer = client.read_response("HEAD").unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), None, "{path}");
    }
    assert_eq!(count(&gateway, "calls"), 0.0);
}

#[test]
fn nobody_is_called_for_what_has_no_body() {
    for (status, more) in [
        ("204 No Content", ""),
        ("304 Not Modified", "etag: \"a\"\r\n"),
    ] {
        let upstream = says(format!("HTTP/1.1 {status}\r\n{more}\r\n"));
        let gateway = replacing(&upstream);
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.get("/");
            assert!(status.starts_with(&answer.status.to_string()));
            let weak = answer.header("etag");
            assert_eq!(weak.is_some(), !more.is_empty());
            assert!(weak.is_none_or(|tag| tag == r#"W/\"a\""#));
        }
        assert_eq!(count(&gateway, "calls"), 0.0);
    }
}

#[test]
fn who_wants_nothing_of_it_leaves_it_alone() {
    for mode in ["ignore", "ignore-late"] {
        let upstream = says(sized("etag: \"a\"\r\n", "a secret"));
        let gateway = gateway(&upstream, "1MiB", &[plugin(mode, TRANSFORM, TRANSFORM)]);
        let answer = gateway.get("/");
        assert_eq!(answer.header("content-length").as_deref(), Some("8"));
        assert_eq!(answer.header("etag").as_deref(), Some(r#"\"a\""#));
        let calls = if mode == "ignore" { 0.0 } else { 1.0 };
        counted(&gateway, "calls", calls);
        as_the_contract_says(&gateway);
    }
}

#[test]
fn the_window_exists_only_where_there_is_one() {
    let upstream = says(sized("", "x"));
    let gateway = gateway(&upstream, "1MiB", &[plugin("phases", OBSERVE, OBSERVE)]);
    assert_eq!(gateway.get("/").text(), "x");
    counted(&gateway, "wrong", 6.0);
    as_the_contract_says(&gateway);
}

#[test]
fn the_bounds_of_a_window() {
    let upstream = says(sized("", "xyz"));
    let gateway = gateway(
        &upstream,
        "64KiB",
        &[plugin("bounds", TRANSFORM, TRANSFORM)],
    );
    assert_eq!(gateway.get("/").text(), "xyz");
    counted(&gateway, "ends", 2.0);
    as_the_contract_says(&gateway);
}
