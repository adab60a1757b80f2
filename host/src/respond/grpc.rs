//! Answers for gRPC: a client of it looks for `grpc-status` and takes the status of HTTP for granted.
//!
//! An answer that no upstream made becomes a "Trailers-Only" one (gRPC over HTTP/2, Responses): 200, no body, and the
//! status of gRPC among the headers. Which one follows from the status of HTTP as the project of gRPC maps it
//! (doc/http-grpc-status-mapping.md), with one more for bodies that are too large.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::context::Answer;

const GRPC: &[u8] = b"application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Longest message taken over from an answer, in bytes.
const LONGEST: usize = 512;

/// Whether a request is a call of gRPC: `application/grpc`, alone or with a suffix. gRPC-Web is none, for its answers end
/// in another way.
#[must_use]
pub fn is_call(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(is_grpc)
}

fn is_grpc(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let begins = value
        .get(..GRPC.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(GRPC));
    begins && matches!(value.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
}

/// What a client of gRPC is told in the place of an answer that is not one of gRPC. Answers of a 2xx status stay as they
/// are: nobody can say what they mean.
#[must_use]
pub fn told(mut answer: Answer) -> Answer {
    let head = &mut answer.head;
    let own = head.headers.get(CONTENT_TYPE).is_some_and(is_grpc);
    if own || head.status.is_success() {
        return answer;
    }
    let message = message(head.status, &head.headers, &answer.body);
    let status = HeaderValue::from(code(head.status));
    head.headers.remove(CONTENT_LENGTH);
    head.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.insert(STATUS, status);
    if let Ok(message) = HeaderValue::from_str(&message) {
        head.headers.insert(MESSAGE, message);
    }
    head.status = StatusCode::OK;
    answer.body = Bytes::new();
    answer
}

/// The status of gRPC that a client would make of a status of HTTP.
fn code(status: StatusCode) -> u16 {
    const UNKNOWN: u16 = 2;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status {
        StatusCode::BAD_REQUEST => INTERNAL,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        // The mapping says nothing of it; gRPC itself answers so to a message beyond its limit.
        StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// The first line of a plain text, else the words of the status, percent-encoded (gRPC over HTTP/2, Percent-Encoded).
fn message(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let plain = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let line = body.split(|byte| *byte == b'\n').next();
    let line = line.filter(|line| plain && !line.is_empty() && line.len() <= LONGEST);
    let words = status.canonical_reason().unwrap_or("error").as_bytes();
    let mut text = String::new();
    for byte in line.unwrap_or(words) {
        match byte {
            b'%' | 0..=0x1f | 0x7f..=0xff => text.push_str(&format!("%{byte:02X}")),
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::ResponseHead;

    fn answer(status: u16, kind: &'static str, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Answer {
            head: ResponseHead {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
            },
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[track_caller]
    fn check(given: Answer, status: &str, message: &str) {
        let told = told(given);
        let field = |name| told.head.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(told.head.status, StatusCode::OK);
        assert_eq!((field(STATUS), field(MESSAGE)), (status, message));
        assert!(told.body.is_empty());
    }

    #[test]
    fn each_status_has_one_of_grpc() {
        check(answer(401, "application/json", "{}"), "16", "Unauthorized");
        check(answer(403, "text/plain", "not you\nmore"), "7", "not you");
        check(answer(404, "text/plain", "100% gone"), "12", "100%25 gone");
        check(
            answer(413, "text/plain", "gr\u{f6}\u{df}er"),
            "8",
            "gr%C3%B6%C3%9Fer",
        );
        check(answer(503, "text/html", "<p>"), "14", "Service Unavailable");
        check(answer(500, "text/plain", ""), "2", "Internal Server Error");
    }

    #[test]
    fn an_answer_of_grpc_stays() {
        let own = told(answer(500, "application/grpc", ""));
        assert_eq!(own.head.status, StatusCode::INTERNAL_SERVER_ERROR);
        let fine = told(answer(200, "text/plain", "hello"));
        assert_eq!(fine.body, "hello");
    }

    #[test]
    fn calls_are_told_by_their_type() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("application/json", false),
        ] {
            let headers = answer(200, kind, "").head.headers;
            assert_eq!(is_call(&headers), expected, "{kind}");
        }
    }
}
