//! Which fields may stand after a body, in either direction.

use http::header::{CONNECTION, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::is_hop_by_hop;

/// Whether a field must not stand after a body (RFC 9110, 6.5.1): whoever reads it there may have acted without it, or
/// may merge it into the head, where it would mean what nobody checked.
#[must_use]
pub fn is_forbidden(name: &HeaderName) -> bool {
    let text = name.as_str();
    is_hop_by_hop(name)
        || text.starts_with("if-")
        || text.starts_with("x-forwarded-")
        || matches!(
            text,
            // Framing and routing.
            "content-length" | "host" | "proxy" | "forwarded" | "via" | "x-real-ip" | "x-request-id"
            // What the request is to do.
            | "cache-control" | "expect" | "max-forwards" | "pragma" | "range"
            // Who is asking.
            | "authorization" | "cookie" | "set-cookie" | "www-authenticate" | "authentication-info"
            | "proxy-authentication-info"
            // What the answer means.
            | "age" | "date" | "expires" | "location" | "retry-after" | "vary" | "warning"
            // How the body is read.
            | "content-encoding" | "content-type" | "content-range"
        )
}

/// Takes off the fields that must not stand there.
pub fn clean(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| is_forbidden(name))
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// What a message announces: the names in `Trailer` that may stand there. Without an announcement hyper sends none.
#[must_use]
pub fn announced(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(TRAILER).iter();
    let names = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_forbidden(name));
    let names: Vec<HeaderName> = names.collect();
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    if names.is_empty() {
        return None;
    }
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Whether whoever sent this head takes trailers (RFC 9110, 10.1.4). `Connection` must list the field: else it may come from
/// somebody before the sender.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> bool {
    lists(headers, &TE, b"trailers") && lists(headers, &CONNECTION, b"te")
}

fn lists(headers: &HeaderMap, name: &HeaderName, word: &[u8]) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_stands_after_a_body() {
        let mut trailers = HeaderMap::new();
        for name in [
            "grpc-status",
            "x-checksum",
            "digest",
            "etag",
            "host",
            "proxy",
            "if-none-match",
            "transfer-encoding",
            "set-cookie",
            "x-forwarded-for",
        ] {
            trailers.append(name, HeaderValue::from_static("1"));
        }
        clean(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["digest", "etag", "grpc-status", "x-checksum"]);
    }

    #[test]
    fn announcements_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(announced(&headers), None);
        headers.append(TRAILER, HeaderValue::from_static("X-One , host,"));
        headers.append(TRAILER, HeaderValue::from_static("x-two"));
        assert_eq!(announced(&headers).unwrap(), "x-one, x-two");
        assert!(!accepted(&headers));
        headers.insert(TE, HeaderValue::from_static("gzip;q=0.5, Trailers"));
        assert!(!accepted(&headers), "it may be of a hop before");
        headers.insert(CONNECTION, HeaderValue::from_static("close, TE"));
        assert!(accepted(&headers));
    }
}
