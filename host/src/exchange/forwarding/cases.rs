//! Further cases: who is believed, and what of it.

use super::*;

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|net| net.parse().unwrap()).collect()
}

fn told(
    lines: &[(&'static str, &str)],
    trusted: &[&str],
    host: Option<&'static str>,
) -> (HeaderMap, String) {
    let mut headers = map(lines);
    let survey = Survey::of(&headers);
    let peer = "[::ffff:10.0.0.9]:5000".parse().unwrap();
    let told = Told {
        peer: &PeerValues::new(peer, "10.0.0.1:8443".parse().unwrap(), "https"),
        trusted: &nets(trusted),
        request_id: HeaderValue::from_static("id"),
        host: host.map(HeaderValue::from_static),
    };
    let client = apply(&mut headers, survey, told);
    (headers, client.to_string())
}

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn networks_are_trusted_also_where_they_are_mapped() {
    let trusted = nets(&["10.0.0.0/8", "2001:db8::/32"]);
    let is = |address: &str| is_trusted(address.parse().unwrap(), &trusted);
    assert!(is("10.1.2.3") && is("::ffff:10.1.2.3") && is("2001:db8::1"));
    assert!(!is("11.1.2.3") && !is("::1"));
    assert!(!is_trusted("10.1.2.3".parse().unwrap(), &[]));
}

#[test]
fn an_id_is_short_and_visible() {
    let known = |id: &str| known_request_id(&map(&[("x-request-id", id)])).is_some();
    assert!(known("a") && known(&"a".repeat(128)));
    assert!(!known("") && !known(&"a".repeat(129)) && !known("a b"));
    assert_eq!(known_request_id(&HeaderMap::new()), None);
}

#[test]
fn a_stranger_is_told_of_anew() {
    let lines = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarder", "kept"),
        ("forwarded", "for=1.2.3.4"),
    ];
    let (headers, client) = told(&lines, &[], Some("a.example"));
    assert_eq!(client, "10.0.0.9");
    for (name, expected) in [
        ("x-forwarded-for", "10.0.0.9"),
        ("x-real-ip", "10.0.0.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-host", "a.example"),
        ("x-request-id", "id"),
        ("x-forwarder", "kept"),
    ] {
        assert_eq!(all(&headers, name), [expected], "{name}");
    }
    assert_eq!(headers.len(), 7);
    let (headers, _) = told(&[], &[], None);
    assert!(!headers.contains_key("x-forwarded-host"));
}

#[test]
fn a_trusted_proxy_is_believed_and_completed() {
    let lines = [
        ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
        ("x-forwarded-for", "10.0.0.8 ,10.0.0.7"),
        ("x-forwarded-port", "443"),
        ("proxy", "evil"),
        ("forwarded", "for=6.6.6.6"),
    ];
    let (headers, client) = told(&lines, &["10.0.0.0/8"], Some("a.example"));
    assert_eq!(client, "1.2.3.4");
    assert_eq!(all(&headers, "x-forwarded-for").len(), 3);
    assert_eq!(all(&headers, "x-real-ip"), ["1.2.3.4"]);
    assert_eq!(all(&headers, "x-forwarded-port"), ["443"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["a.example"]);
    assert!(!headers.contains_key("proxy") && !headers.contains_key("forwarded"));
}

#[test]
fn a_list_is_believed_as_far_as_it_is_one() {
    let client = |list: &str| told(&[("x-forwarded-for", list)], &["10.0.0.0/8"], None).1;
    assert_eq!(client("1.2.3.4, unknown, 10.0.0.8"), "10.0.0.8");
    assert_eq!(client("unknown"), "10.0.0.9");
    assert_eq!(client("10.0.0.7, 10.0.0.8"), "10.0.0.7");
    assert_eq!(client("::ffff:1.2.3.4"), "1.2.3.4");
}

#[test]
fn what_http2_says_of_tls_does_not_replace_what_stands_there() {
    let mut headers = HeaderMap::new();
    says_https(&mut headers);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
    let mut headers = map(&[("x-forwarded-proto", "http")]);
    says_https(&mut headers);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
}

#[test]
fn via_is_added_where_there_is_one() {
    let mut headers = map(&[("via", "1.0 first")]);
    via(&mut headers, None);
    assert_eq!(all(&headers, "via"), ["1.0 first"]);
    via(&mut headers, Some(&HeaderValue::from_static("1.1 second")));
    assert_eq!(all(&headers, "via"), ["1.0 first", "1.1 second"]);
}
