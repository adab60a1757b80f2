//! What is read of a head, by examples.

use http::HeaderName;

use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

#[track_caller]
fn check_host(text: &str, expected: Option<&str>) {
    assert_eq!(
        host_name(text).ok().as_ref().map(HostName::as_str),
        expected,
        "{text}"
    );
}

#[test]
fn hosts() {
    check_host("Example.COM", Some("example.com"));
    check_host("example.com.", Some("example.com"));
    check_host("example.com:8000", Some("example.com"));
    check_host("[::1]:80", Some("[::1]"));
    check_host("127.0.0.1", Some("127.0.0.1"));
    for bad in [
        "", ".", ":80", "a b", "a@b", "a:b", "a:99999", "a:1:2", "[::1", "[x]", "a/b", "a%41",
        "[::1]x",
    ] {
        check_host(bad, None);
    }
}

#[test]
fn the_authority_of_the_target_replaces_the_field() {
    let headers = map(&[("host", "b.example")]);
    let host = host(
        &"http://a.example:81/x".parse().unwrap(),
        Version::HTTP_11,
        &headers,
    )
    .unwrap();
    assert_eq!(
        (host.name.as_str(), host.field.unwrap().to_str().unwrap()),
        ("a.example", "a.example:81")
    );
}

#[test]
fn the_scheme_is_that_of_the_connection() {
    let schemes = |own, https| Schemes { own, https };
    let judged = |schemes: Schemes, said| schemes.judge(said).ok();
    assert_eq!(judged(schemes("http", false), None), Some(false));
    assert_eq!(judged(schemes("http", false), Some("http")), Some(false));
    assert_eq!(judged(schemes("https", false), Some("https")), Some(false));
    assert_eq!(judged(schemes("https", false), Some("http")), None);
    assert_eq!(judged(schemes("http", false), Some("https")), None);
    assert_eq!(judged(schemes("http", true), Some("https")), Some(true));
    assert_eq!(judged(schemes("http", true), Some("ftp")), None);
}

#[test]
fn lengths_lose_their_zeros() {
    for (said, expected) in [("0", "0"), ("3", "3"), ("010", "10"), ("000", "0")] {
        let mut headers = map(&[("content-length", said)]);
        plain_length(&mut headers);
        assert_eq!(headers.get(CONTENT_LENGTH).unwrap(), expected);
    }
}

#[test]
fn every_expectation_counts() {
    let survey = Survey {
        expect: true,
        ..Survey::default()
    };
    let mut one = map(&[("expect", "100-Continue")]);
    assert!(framing(&mut one, survey).is_ok() && one.is_empty());
    let mut two = map(&[("expect", "100-continue"), ("expect", "x")]);
    assert!(framing(&mut two, survey).is_err());
}

#[test]
fn only_one_final_chunked() {
    for bad in [
        &["gzip, chunked"][..],
        &["chunked", "chunked"],
        &["chunked, chunked"],
        &["identity"],
        &["xchunked"],
    ] {
        let mut headers = HeaderMap::new();
        for value in bad {
            headers.append(TRANSFER_ENCODING, value.parse().unwrap());
        }
        assert!(
            framing(
                &mut headers,
                Survey {
                    transfer_encoding: true,
                    ..Survey::default()
                }
            )
            .is_err(),
            "{bad:?}"
        );
    }
    let mut headers = map(&[("transfer-encoding", "Chunked"), ("content-length", "3")]);
    assert_eq!(
        framing(
            &mut headers,
            Survey {
                transfer_encoding: true,
                ..Survey::default()
            }
        )
        .unwrap(),
        Framing::Chunked
    );
    assert!(!headers.contains_key(CONTENT_LENGTH));
}
