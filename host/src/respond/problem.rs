//! Answers as `application/problem+json` (RFC 9457), or as plain text for who does not accept JSON.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::rescue::Rescue;
use crate::context::{Answer, RequestId, ResponseHead};

/// The header with the id of an exchange.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Writes what the client is told.
#[must_use]
pub fn answer(rescue: &Rescue, as_text: bool, request_id: &RequestId) -> Answer {
    let status = rescue.status;
    let title = status.canonical_reason().unwrap_or("Error");
    let id = request_id.as_str();
    let mut headers = HeaderMap::with_capacity(4);
    let body = if as_text {
        headers.insert(CONTENT_TYPE, PLAIN);
        format!(
            "{} {title}: {}\nrequest id: {id}\n",
            status.as_u16(),
            rescue.detail
        )
    } else {
        headers.insert(CONTENT_TYPE, JSON);
        json(status, title, &rescue.detail, id)
    };
    headers.insert(X_REQUEST_ID, request_id.to_value());
    if rescue.close {
        headers.insert(CONNECTION, CLOSE);
    }
    Answer {
        head: ResponseHead { status, headers },
        body: Bytes::from(body),
    }
}

fn json(status: StatusCode, title: &str, detail: &str, id: &str) -> String {
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "request_id": id,
    });
    format!("{problem}\n")
}

/// Whether the client takes plain text and says nothing of JSON. A rough reading of `Accept` (RFC 9110, 12.5.1) is
/// enough: either form is readable to whoever gets the other.
#[must_use]
pub fn prefers_text(accept: &HeaderValue) -> bool {
    let accept = accept.to_str().unwrap_or_default().to_ascii_lowercase();
    let json = ["json", "*/*", "application/*"]
        .iter()
        .any(|part| accept.contains(part));
    !json && accept.contains("text/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: Option<&str>, expected: &HeaderValue) {
        let as_text = accept.is_some_and(|accept| prefers_text(&accept.parse().unwrap()));
        let rescue = Rescue {
            status: StatusCode::NOT_FOUND,
            detail: "no \"route\"".to_owned(),
            close: true,
        };
        let id = RequestId::Given(HeaderValue::from_static("abc"));
        let answer = answer(&rescue, as_text, &id);
        assert_eq!(
            answer.head.headers.get(CONTENT_TYPE),
            Some(expected),
            "{accept:?}"
        );
        assert_eq!(answer.head.headers.get(CONNECTION), Some(&CLOSE));
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains("abc"), "{body}");
    }

    #[test]
    fn the_form_follows_accept() {
        check(None, &JSON);
        check(Some("*/*"), &JSON);
        check(Some("application/json"), &JSON);
        check(Some("text/plain"), &PLAIN);
        check(Some("text/html,application/xhtml+xml,*/*;q=0.8"), &JSON);
    }
}
