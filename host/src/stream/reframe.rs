//! What a change of the body means for the head before it.
//!
//! | | nobody changes the body | somebody may |
//! |---|---|---|
//! | length | stays | gone; written anew where all of the body is known before the head leaves |
//! | `ETag` | stays | becomes weak: what it names is equivalent at best (RFC 9110, 8.8.1) |
//! | digests, `Accept-Ranges` | stay | gone: they are of other bytes |
//! | `Range`, `If-Range` of the request | stay | gone: a part cannot be changed as the whole would be |
//! | `Accept-Encoding` of the request | stays | `identity`: plugins read text, not what it was compressed to |
//!
//! The answer to HEAD has the head that the answer to GET would have, so all of this holds for it as well; so it does
//! for 304, whose fields are those of the 200 it stands for.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, ETAG, IF_RANGE, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
/// RFC 9530 and what was before it.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether an answer has a body by definition (RFC 9112, 6.3). The answer to an upgrade has none that is ours.
#[must_use]
pub fn answer_has_body(method: &Method, status: StatusCode) -> bool {
    let never = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    !never && *method != Method::HEAD
}

/// The head of an answer that says no length where it must not (RFC 9110, 8.6).
pub fn bodiless(headers: &mut HeaderMap, status: StatusCode) {
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
}

/// The head of a request whose body may change on its way; not yet how long it will be.
pub fn request(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    undigested(headers);
}

/// How long it is, if that is known before the head leaves; else it goes out in chunks. `had` says whether the request
/// came with a body: one that had none and got none has no length either.
pub fn request_length(headers: &mut HeaderMap, known: Option<u64>, had: bool) {
    match known {
        Some(0) if !had => {}
        Some(bytes) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        None => {
            headers.insert(TRANSFER_ENCODING, CHUNKED);
        }
    }
}

/// The head of a request whose answer may change on its way back.
pub fn request_for_change(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
}

/// The head of an answer whose body may change on its way.
pub fn answer(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    undigested(headers);
    let weak = headers.get(ETAG).map(weak);
    match weak {
        Some(Some(weak)) => {
            headers.insert(ETAG, weak);
        }
        Some(None) => {
            headers.remove(ETAG);
        }
        None => {}
    }
}

fn undigested(headers: &mut HeaderMap) {
    for name in DIGESTS {
        headers.remove(name);
    }
}

/// The weak form of a validator; none if it is not one.
fn weak(tag: &HeaderValue) -> Option<HeaderValue> {
    let bytes = tag.as_bytes();
    if bytes.starts_with(b"W/\"") {
        return Some(tag.clone());
    }
    if !bytes.starts_with(b"\"") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", bytes].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn map(lines: Lines<'_>) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        lines.iter().map(line).collect::<HeaderMap>()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut HeaderMap), before: Lines<'_>, after: Lines<'_>) {
        let mut headers = map(before);
        change(&mut headers);
        assert_eq!(headers, map(after));
    }

    #[test]
    fn an_answer_loses_what_is_of_other_bytes() {
        check(
            answer,
            &[
                ("content-length", "3"),
                ("etag", "\"a\""),
                ("accept-ranges", "bytes"),
                ("digest", "x"),
                ("repr-digest", "x"),
                ("content-digest", "x"),
                ("content-md5", "x"),
                ("content-type", "text/plain"),
            ],
            &[("etag", "W/\"a\""), ("content-type", "text/plain")],
        );
        check(answer, &[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]);
        check(answer, &[("etag", "nonsense")], &[]);
    }

    #[test]
    fn a_request_is_measured_anew() {
        let before: Lines<'_> = &[("content-length", "3"), ("content-digest", "x"), ("a", "b")];
        for (known, had, line) in [
            (None, true, Some(("transfer-encoding", "chunked"))),
            (Some(7), false, Some(("content-length", "7"))),
            (Some(0), true, Some(("content-length", "0"))),
            (Some(0), false, None),
        ] {
            let mut after = vec![("a", "b")];
            after.extend(line);
            let change = |headers: &mut HeaderMap| {
                request(headers);
                request_length(headers, known, had);
            };
            check(change, before, &after);
        }
    }

    #[test]
    fn the_upstream_is_asked_for_the_whole_as_it_is() {
        check(
            request_for_change,
            &[
                ("range", "bytes=0-1"),
                ("if-range", "\"a\""),
                ("accept-encoding", "gzip"),
            ],
            &[("accept-encoding", "identity")],
        );
    }

    #[test]
    fn who_has_a_body() {
        for (method, status, has) in [
            (Method::GET, 200, true),
            (Method::HEAD, 200, false),
            (Method::GET, 101, false),
            (Method::GET, 204, false),
            (Method::GET, 304, false),
            (Method::POST, 502, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(answer_has_body(&method, status), has, "{method} {status}");
        }
    }
}
