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
