//! What is wrong with the head of an answer that hyper lets through.

use http::{HeaderValue, Response, StatusCode, Version, header};
use hyper::body::Incoming;

use super::pool::Pool;
use crate::context::headers::Survey;
use crate::respond::failure::UpstreamFault;

/// Refuses answers that could be read in more than one way.
pub(super) fn check(
    response: &Response<Incoming>,
    pool: &Pool,
    asked: Option<&HeaderValue>,
) -> Result<(), UpstreamFault> {
    match found(response, asked) {
        None => Ok(()),
        Some(text) => Err(UpstreamFault::Malformed {
            target: pool.to.target.clone(),
            text: text.to_owned(),
        }),
    }
}

/// What is wrong with an answer, where a change to another protocol was asked for or was not.
fn found<B>(response: &Response<B>, asked: Option<&HeaderValue>) -> Option<&'static str> {
    match asked {
        Some(token) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade_flaw(response, token)
        }
        _ => framing_flaw(response),
    }
}

/// Why an answer that switches protocols is none to what was asked (RFC 9110, 7.8 and 15.2.2).
fn upgrade_flaw<B>(response: &Response<B>, asked: &HeaderValue) -> Option<&'static str> {
    if response.version() != Version::HTTP_11 {
        return Some("it switched protocols in another version than HTTP/1.1");
    }
    let headers = response.headers();
    let options = headers.get_all(header::CONNECTION).iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade")) {
        return Some("it switched protocols without Connection: upgrade");
    }
    let mut tokens = headers.get_all(header::UPGRADE).iter();
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if token.as_bytes().eq_ignore_ascii_case(asked.as_bytes()) => None,
        _ => Some("it switched to another protocol than the one it was asked for"),
    }
}

/// Why an answer is invalid, or could be read in more than one way (RFC 9112, 6.1 and 6.3), where hyper lets it through.
#[must_use]
pub fn framing_flaw<B>(response: &Response<B>) -> Option<&'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some("it switched protocols without having been asked");
    }
    if response.status().as_u16() > 599 {
        // RFC 9110, 15: invalid, and to be read as a failure of the server.
        return Some("its status is none of 100 to 599");
    }
    let headers = response.headers();
    let survey = Survey::of(headers);
    if survey.transfer_encoding {
        if survey.content_length {
            // RFC 9112, 6.3: a sign of response splitting, which ought to be handled as an error.
            return Some("it has both Transfer-Encoding and Content-Length");
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {}
            _ => return Some("its Transfer-Encoding is not chunked alone"),
        }
    }
    if !survey.content_length {
        return None;
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(first) = lengths.next() {
        let digits = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
        if !digits || lengths.any(|other| other != first) {
            return Some("its Content-Length is not one number");
        }
    }
    None
}

#[cfg(test)]
mod tests;
