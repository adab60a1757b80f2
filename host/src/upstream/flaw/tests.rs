//! Which heads are flawed, and which only look so.

use super::*;

fn answer(status: u16, lines: &[(&'static str, &'static str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in lines {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(*name, value);
    }
    response
}

fn fits(status: u16, lines: &[(&'static str, &'static str)]) -> bool {
    framing_flaw(&answer(status, lines)).is_none()
}

#[test]
fn one_way_to_say_how_long_it_is() {
    assert!(fits(200, &[]));
    assert!(fits(200, &[("content-length", "0")]));
    assert!(fits(
        200,
        &[("content-length", "5"), ("content-length", "5")]
    ));
    assert!(fits(200, &[("transfer-encoding", " Chunked ")]));
    for bad in [
        &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
        &[("content-length", "5"), ("content-length", "6")],
        &[
            ("content-length", "5"),
            ("content-length", "5"),
            ("content-length", "6"),
        ],
        &[("content-length", "")],
        &[("content-length", "+5")],
        &[("content-length", "5,5")],
        &[("transfer-encoding", "gzip, chunked")],
        &[
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        ],
        &[("transfer-encoding", "identity")],
    ] {
        assert!(!fits(200, bad), "{bad:?}");
    }
}

#[test]
fn which_statuses_are_answers() {
    for status in [100, 102, 199, 200, 204, 304, 599] {
        assert!(fits(status, &[]), "{status}");
    }
    for status in [101, 600, 999] {
        assert!(!fits(status, &[]), "{status}");
    }
}

#[test]
fn a_switch_is_to_what_was_asked() {
    const ASKED: HeaderValue = HeaderValue::from_static("websocket");
    let flaw = |lines: &[_]| upgrade_flaw(&answer(101, lines), &ASKED);
    let connection = ("connection", "close, Upgrade");
    assert_eq!(flaw(&[connection, ("upgrade", "WebSocket")]), None);
    for bad in [
        &[("upgrade", "websocket")][..],
        &[("connection", "upgrade-insecure"), ("upgrade", "websocket")],
        &[connection],
        &[connection, ("upgrade", "h2c")],
        &[
            connection,
            ("upgrade", "websocket"),
            ("upgrade", "websocket"),
        ],
    ] {
        assert!(flaw(bad).is_some(), "{bad:?}");
    }
    let mut old = answer(101, &[connection, ("upgrade", "websocket")]);
    *old.version_mut() = Version::HTTP_10;
    assert!(upgrade_flaw(&old, &ASKED).is_some());
}

#[test]
fn who_asked_for_a_switch_may_get_one() {
    const ASKED: HeaderValue = HeaderValue::from_static("x");
    let lines = [("connection", "upgrade"), ("upgrade", "x")];
    assert_eq!(found(&answer(101, &lines), Some(&ASKED)), None);
    assert!(found(&answer(101, &lines), None).is_some(), "nobody asked");
    assert!(found(&answer(101, &[]), Some(&ASKED)).is_some());
    assert_eq!(found(&answer(200, &[]), Some(&ASKED)), None, "it declined");
    let bad = [("content-length", "x")];
    assert!(found(&answer(200, &bad), Some(&ASKED)).is_some());
}
