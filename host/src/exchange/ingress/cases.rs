//! Further cases: where each rule begins and ends.

use http::HeaderName;

use super::*;

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(line) {
        headers.append(name, value);
    }
    headers
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

#[test]
fn which_targets_are_served() {
    let fits = |method, text| target(&method, &uri(text)).is_ok();
    assert!(fits(Method::GET, "/"));
    assert!(fits(Method::GET, "/a?b=!~"));
    assert!(fits(Method::GET, "http://a/b"));
    assert!(fits(Method::GET, "https://a/b"));
    assert!(fits(Method::OPTIONS, "*"));
    assert!(!fits(Method::GET, "*"));
    assert!(!fits(Method::GET, "ftp://a/b"));
    assert!(!fits(Method::GET, "a:80"));
    assert!(!fits(Method::GET, "/a?\u{e4}"));
    let connect = target(&Method::CONNECT, &uri("a:80"));
    assert!(matches!(connect, Err(RequestFault::Connect)));
}

#[test]
fn a_target_may_be_as_long_as_the_limit() {
    let judged = |text, limit| target_length(&uri(text), limit).is_ok();
    assert!(judged("/abc?d", 6));
    assert!(!judged("/abc?d", 5));
    assert!(judged("http://a-long-host/b", 2));
    assert!(judged("a:80", 0), "there is no target");
}

#[test]
fn how_many_hosts_there_are() {
    let read = |version, lines| host(&uri("/"), version, &map(lines));
    let one = read(Version::HTTP_11, &[("host", "A:1")]).unwrap();
    assert_eq!((one.name.as_str(), one.from_target), ("a", false));
    assert_eq!(one.field.unwrap(), "A:1");
    let none = read(Version::HTTP_10, &[]).unwrap();
    assert_eq!((none.name.as_str(), none.field), ("", None));
    assert!(read(Version::HTTP_10, &[("host", "a")]).is_ok());
    let twice: &[_] = &[("host", "a"), ("host", "a")];
    for (version, lines) in [
        (Version::HTTP_11, &[][..]),
        (Version::HTTP_11, twice),
        (Version::HTTP_10, twice),
    ] {
        assert!(matches!(read(version, lines), Err(RequestFault::HostCount)));
    }
    let malformed = host(
        &uri("http://b/"),
        Version::HTTP_11,
        &map(&[("host", "a b")]),
    );
    assert!(malformed.is_err(), "the field counts beside a target");
    let told = host(
        &uri("http://B:7/"),
        Version::HTTP_11,
        &map(&[("host", "a")]),
    )
    .unwrap();
    assert!(told.from_target);
}

#[test]
fn what_a_host_is_made_of() {
    let name = |text: &str| host_name(text).ok().map(|name| name.as_str().to_owned());
    let odd = "a-z.0_9~!$&'()*+,;=";
    assert_eq!(name(odd).as_deref(), Some(odd));
    for byte in (b' '..=b'~').filter(|byte| !is_known(*byte)) {
        let text = format!("a{}b", char::from(byte));
        assert_eq!(name(&text), None, "{text}");
    }
    assert_eq!(name(&"a".repeat(255)).map(|name| name.len()), Some(255));
    assert_eq!(name(&"a".repeat(256)), None);
    assert_eq!(name("a:").as_deref(), Some("a"));
    assert_eq!(name("a:65535").as_deref(), Some("a"));
    for bad in [
        "a:65536",
        "a:+1",
        "a:1x",
        "[::1]1",
        "[::1]:x",
        "[1.2.3.4]",
        "[]",
        "a..:x",
    ] {
        assert_eq!(name(bad), None, "{bad}");
    }
    assert_eq!(name("[2001:DB8::1]").as_deref(), Some("[2001:db8::1]"));
}

/// Letters, digits, and what may stand between them; a colon begins a port.
fn is_known(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[test]
fn lengths_are_left_alone_or_said_once() {
    let after = |said: &[&str]| {
        let mut headers = HeaderMap::new();
        for one in said {
            headers.append(CONTENT_LENGTH, one.parse().unwrap());
        }
        plain_length(&mut headers);
        let left = headers.get_all(CONTENT_LENGTH).iter();
        left.map(|one| one.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(after(&[]), [""; 0]);
    assert_eq!(after(&["7"]), ["7"]);
    assert_eq!(after(&["7", "7"]), ["7"]);
    assert_eq!(after(&["07"]), ["7"]);
    assert_eq!(after(&["0"]), ["0"]);
    // Not one number: what was checked before would not let it come here, and nothing is guessed.
    assert_eq!(after(&["0x"]), ["0x"]);
}

#[test]
fn a_length_without_a_coding_frames_a_body() {
    let mut headers = map(&[("content-length", "007")]);
    let survey = Survey::of(&headers);
    assert_eq!(framing(&mut headers, survey).unwrap(), Framing::Length);
    assert_eq!(headers.get(CONTENT_LENGTH).unwrap(), "7");
    let mut headers = map(&[("transfer-encoding", " chunked\t")]);
    let survey = Survey::of(&headers);
    assert_eq!(framing(&mut headers, survey).unwrap(), Framing::Chunked);
}

#[test]
fn paths_are_normal_and_the_asterisk_stays() {
    let read = |text: &str, merge| path(&uri(text), merge).ok().map(Cow::into_owned);
    assert_eq!(read("*", true).as_deref(), Some("*"));
    assert_eq!(read("/a/../b", true).as_deref(), Some("/b"));
    assert_eq!(read("//b", true).as_deref(), Some("/b"));
    assert_eq!(read("//b", false).as_deref(), Some("//b"));
    assert_eq!(read("/%2f", true), None);
}
