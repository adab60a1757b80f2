//! Conditions against requests, one at a time.

use http::header::COOKIE;
use http::{HeaderValue, Method};

use super::*;

#[track_caller]
fn check(kind: &str, name: &str, values: &[&str], from: &[&[u8]], expected: bool) {
    let values: Vec<ValuePattern> = values
        .iter()
        .map(|value| ValuePattern::parse(value).unwrap())
        .collect();
    let mut conditions = Conditions::default();
    let mut headers = HeaderMap::new();
    let mut query = "";
    let header = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).unwrap();
    match kind {
        "header" => {
            conditions.headers = vec![FieldCondition::header(name, values).unwrap()];
            for value in from {
                headers.append("x-v", header(value));
            }
        }
        "cookie" => {
            conditions.cookies = vec![FieldCondition::new(name, values)];
            for value in from {
                headers.append(COOKIE, header(value));
            }
        }
        _ => {
            conditions.query = vec![FieldCondition::new(name, values)];
            query = std::str::from_utf8(from[0]).unwrap();
        }
    }
    let request = Request {
        host: "h",
        path: "/",
        method: &Method::GET,
        headers: &headers,
        query,
        client: IpAddr::from([127, 0, 0, 1]),
        sni: None,
    };
    assert_eq!(conditions.hold(&request), expected, "{name} {from:?}");
    assert_eq!(
        conditions.missed(&request).is_empty(),
        expected,
        "{name} {from:?}"
    );
    assert_eq!(conditions.count(), 1);
}

#[test]
fn headers() {
    check("header", "X-V", &["a", "b"], &[b"c", b"b"], true);
    check("header", "x-v", &["a"], &[b"A"], false);
    check("header", "x-v", &[], &[b""], true);
    check("header", "x-v", &[], &[], false);
    check("header", "x-other", &[], &[b"a"], false);
    check("header", "x-v", &["~^v[0-9]+$"], &[b"v12"], true);
    check("header", "x-v", &["~v[0-9]"], &[b"a v1 b"], true);
    check("header", "x-v", &["~^.$"], &[b"\xff"], false);
    check("header", "x-v", &["~(?-u)^.$"], &[b"\xff"], true);
    check("header", "x-v", &["~b"], &[b"\xffb\xfe"], true);
    let error = FieldCondition::header("x v", Vec::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("'x v' is not a name of a header")
    );
}

#[test]
fn queries() {
    check("query", "a", &["1"], &[b"b=2&a=0&a=1"], true);
    check("query", "a b", &["ä c"], &[b"a+b=%c3%A4%20c"], true);
    check("query", "a", &["%zz%4"], &[b"a=%zz%4"], true);
    check("query", "a", &["%1"], &[b"a=%251"], true);
    check("query", "a", &["%+2"], &[b"a=%%2b2"], true);
    check("query", "a", &[], &[b"&&a"], true);
    check("query", "a", &[""], &[b"a"], true);
    check("query", "a", &["b=c"], &[b"a=b=c"], true);
    check("query", "", &[], &[b"&&"], false);
    check("query", "a", &["~^.$"], &[b"a=%ff"], false);
    check("query", "A", &[], &[b"a=1"], false);
}

#[test]
fn cookies_of_all_fields() {
    check("cookie", "b", &["2"], &[b"a=1; b=2"], true);
    check("cookie", "b", &["2"], &[b"a=1", b"b=0;b=2 ; c"], true);
    check("cookie", "b", &["\"2\""], &[b"b=\"2\""], true);
    check("cookie", "B", &[], &[b"b=2"], false);
    check("cookie", "b", &[], &[b"b"], false);
    check("cookie", "b", &["x=y"], &[b"b=x=y"], true);
    check("cookie", "b", &["~^\\w$"], &[b"b=\xff"], false);
}

#[test]
fn addresses() {
    let conditions = Conditions {
        addresses: vec![
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ],
        ..Conditions::default()
    };
    for (client, expected) in [
        ("10.1.2.3", true),
        ("11.1.2.3", false),
        ("::ffff:10.1.2.3", true),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
    ] {
        assert_eq!(
            conditions.admit(client.parse().unwrap()),
            expected,
            "{client}"
        );
    }
}

#[test]
fn values_say_what_is_wrong() {
    let text = |value: &str| ValuePattern::parse(value).map(|value| value.to_string());
    assert_eq!(text("~^a$").as_deref(), Ok("~^a$"));
    assert_eq!(text("a~").as_deref(), Ok("a~"));
    assert!(text("~a[").unwrap_err().to_string().contains("character 2"));
    assert_eq!(text("~"), Err(PatternError::EmptyRegex));
}

#[test]
fn secrets_are_texts_that_nobody_sees() {
    let secret = ValuePattern::secret("~^a$");
    assert!(secret.fits(b"~^a$") && !secret.fits(b"a"));
    assert_eq!(secret.to_string(), "a value that is not shown");
    assert_eq!(format!("{secret:?}"), "a value that is not shown");
    assert_ne!(secret, ValuePattern::secret("b"));
    let plain = ValuePattern::parse("old").unwrap();
    let conditions = Conditions {
        headers: vec![FieldCondition::header("x-v", vec![plain, secret]).unwrap()],
        ..Conditions::default()
    };
    assert!(!format!("{conditions:?}").contains("^a"), "{conditions:?}");
    let mut headers = HeaderMap::new();
    let missed = |headers: &HeaderMap| {
        conditions.missed(&Request {
            host: "h",
            path: "/",
            method: &Method::GET,
            headers,
            query: "",
            client: IpAddr::from([127, 0, 0, 1]),
            sni: None,
        })
    };
    assert_eq!(missed(&headers), ["the header x-v is not there"]);
    headers.append("x-v", HeaderValue::from_static("~^a"));
    assert_eq!(
        missed(&headers),
        ["the header x-v has another value, it wants 'old' or a value that is not shown"]
    );
    headers.append("x-v", HeaderValue::from_static("~^a$"));
    assert!(missed(&headers).is_empty());
}

#[test]
fn what_is_missed_is_said() {
    let value = |text| ValuePattern::parse(text).unwrap();
    let conditions = Conditions {
        headers: vec![FieldCondition::header("X-V", vec![value("1"), value("~^2")]).unwrap()],
        query: vec![FieldCondition::new("q", Vec::new())],
        cookies: vec![FieldCondition::new("c", vec![value("on")])],
        addresses: vec!["10.0.0.0/8".parse().unwrap()],
        snis: Vec::new(),
    };
    let mut headers = HeaderMap::new();
    headers.append("x-v", HeaderValue::from_static("3"));
    headers.append("x-v", HeaderValue::from_bytes(b"a\xff").unwrap());
    headers.append("cookie", HeaderValue::from_static("c=off"));
    let request = Request {
        host: "h",
        path: "/",
        method: &Method::GET,
        headers: &headers,
        query: "a=1",
        client: IpAddr::from([127, 0, 0, 1]),
        sni: None,
    };
    assert_eq!(
        conditions.missed(&request),
        [
            "the header x-v is '3' and 'a\u{fffd}', it wants '1' or '~^2'",
            "the query parameter q is not there",
            "the cookie c is 'off', it wants 'on'",
            "the client 127.0.0.1 is not in 10.0.0.0/8",
        ]
    );
}

#[test]
fn unshared_conditions_have_expressions_of_their_own() {
    let field = |text| FieldCondition::new("n", vec![ValuePattern::parse(text).unwrap()]);
    let conditions = Conditions {
        headers: vec![field("~a")],
        query: vec![field("~b"), field("c")],
        cookies: vec![field("~d")],
        addresses: vec!["10.0.0.0/8".parse().unwrap()],
        snis: Vec::new(),
    };
    let other = conditions.unshared();
    assert_eq!(other, conditions);
    let engine = |field: &FieldCondition| match &field.values[0].0 {
        Kind::Regex(_, regex) => Arc::as_ptr(regex),
        Kind::Exact(_) | Kind::Secret(_) => panic!("it is a regular expression"),
    };
    assert_ne!(engine(&conditions.headers[0]), engine(&other.headers[0]));
    assert_ne!(engine(&conditions.query[0]), engine(&other.query[0]));
    assert_ne!(engine(&conditions.cookies[0]), engine(&other.cookies[0]));
}
