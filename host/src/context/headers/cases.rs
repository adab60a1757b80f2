//! Further cases: each name that a rule is about, and the limits.

use super::*;

fn only(name: &'static str) -> Survey {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static("x"));
    Survey::of(&headers)
}

#[test]
fn what_belongs_to_a_connection() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ] {
        assert!(is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        assert!(only(name).hop_by_hop, "{name}");
    }
    for name in ["host", "content-length", "via", "x-connection"] {
        assert!(!is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        assert!(!only(name).hop_by_hop, "{name}");
    }
}

#[test]
fn a_survey_sees_each_field_and_no_other() {
    const NONE: Survey = Survey {
        hop_by_hop: false,
        transfer_encoding: false,
        content_length: false,
        accept: false,
        expect: false,
        upgrade: false,
        forwarding: false,
        underscores: false,
    };
    assert_eq!(only("x-forwarder"), NONE);
    assert_eq!(only("host"), NONE);
    let content_length = Survey {
        content_length: true,
        ..NONE
    };
    assert_eq!(only("content-length"), content_length);
    assert_eq!(
        only("accept"),
        Survey {
            accept: true,
            ..NONE
        }
    );
    assert_eq!(
        only("expect"),
        Survey {
            expect: true,
            ..NONE
        }
    );
    assert_eq!(
        only("x_a"),
        Survey {
            underscores: true,
            ..NONE
        }
    );
    for name in ["proxy", "forwarded", "x-forwarded-", "x-forwarded-for"] {
        assert_eq!(
            only(name),
            Survey {
                forwarding: true,
                ..NONE
            },
            "{name}"
        );
    }
    let hop = Survey {
        hop_by_hop: true,
        ..NONE
    };
    assert_eq!(only("te"), hop);
    assert_eq!(
        only("upgrade"),
        Survey {
            upgrade: true,
            ..hop
        }
    );
    let coding = Survey {
        transfer_encoding: true,
        ..hop
    };
    assert_eq!(only("transfer-encoding"), coding);
}

#[test]
fn a_survey_adds_up() {
    let mut headers = HeaderMap::new();
    for name in ["x-forwarded-for", "x-last", "te", "x_y", "x-z"] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    let survey = Survey::of(&headers);
    assert!(survey.forwarding && survey.hop_by_hop && survey.underscores);
}

#[test]
fn what_plugins_set_has_limits() {
    assert_eq!((VALUE_BYTES, LINES), (16_384, 512));
    assert!(value(&[b'x'; VALUE_BYTES]).is_ok());
    assert_eq!(value(&[b'x'; VALUE_BYTES + 1]), Err(Denied::TooLarge));
    assert_eq!(value(b"grun\xfc").unwrap().as_bytes(), b"grun\xfc");
    let name = |number: usize| HeaderName::try_from(format!("x-{number}")).unwrap();
    let any = || HeaderValue::from_static("x");
    let mut map = HeaderMap::new();
    for number in 0..LINES - 1 {
        append(&mut map, name(number), any()).unwrap();
    }
    set(&mut map, name(LINES), any()).unwrap();
    assert_eq!(map.len(), LINES);
    assert_eq!(append(&mut map, name(0), any()), Err(Denied::TooLarge));
    assert_eq!(set(&mut map, name(LINES + 1), any()), Err(Denied::TooLarge));
    set(&mut map, name(0), HeaderValue::from_static("y")).unwrap();
    assert_eq!(map.get("x-0").unwrap(), "y");
    assert_eq!(map.len(), LINES);
}

#[test]
fn what_plugins_may_name() {
    assert_eq!(changeable(b"X-Any", true).unwrap(), "x-any");
    assert_eq!(changeable(b"Host", false).unwrap(), "host");
    assert_eq!(changeable(b"Content-Length", true), Err(Denied::Forbidden));
}

fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn connection_options_take_off_only_what_the_client_sent() {
    let mut headers = map(&[
        ("connection", "close, X-Secret, host, content-length"),
        ("connection", "x-other"),
        ("x-secret", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAA"),
        ("host", "a"),
        ("content-length", "3"),
        ("x-kept", "1"),
    ]);
    let survey = Survey::of(&headers);
    strip_hop_by_hop(&mut headers, survey);
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["content-length", "host", "x-kept"]);
}

#[test]
fn what_has_nothing_of_a_connection_is_left_alone() {
    let whole = map(&[("x-a", "1"), ("te", "trailers")]);
    let mut headers = whole.clone();
    strip_hop_by_hop(&mut headers, Survey::default());
    assert_eq!(headers, whole, "the survey has seen none");
    let survey = Survey::of(&headers);
    strip_hop_by_hop(&mut headers, survey);
    assert_eq!(headers, map(&[("x-a", "1")]));
    let names = connection_options(&map(&[("connection", "a, ,b c,D")]));
    assert_eq!(names[..], ["a", "d"]);
}
