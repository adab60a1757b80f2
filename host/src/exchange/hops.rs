//! How many more gateways a request may pass (RFC 9110, 7.6.2).

use bytes::Bytes;
use http::header::MAX_FORWARDS;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::context::{Answer, ResponseHead};
use crate::respond::failure::RequestFault;

/// Counts this gateway. Whether the request ends here: it may pass nobody any more.
///
/// # Errors
/// It does not say one number, or it asks to be sent back what arrived, which may hold what only this gateway was to see.
pub(crate) fn count(method: &Method, headers: &mut HeaderMap) -> Result<bool, RequestFault> {
    if *method != Method::OPTIONS && *method != Method::TRACE {
        return Ok(false);
    }
    let mut said = headers.get_all(MAX_FORWARDS).iter();
    let left = match (said.next(), said.next()) {
        (None, _) => return Ok(false),
        (Some(one), None) => number(one.as_bytes()).ok_or(RequestFault::MaxForwards)?,
        (Some(_), Some(_)) => return Err(RequestFault::MaxForwards),
    };
    match left.checked_sub(1) {
        Some(left) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(left));
            Ok(false)
        }
        None if *method == Method::TRACE => Err(RequestFault::TraceEnds),
        None => Ok(true),
    }
}

/// The answer to OPTIONS that ends here.
pub(super) fn options() -> Answer {
    Answer {
        head: ResponseHead {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
        },
        body: Bytes::new(),
    }
}

/// Digits alone; more than can be counted is the most that can.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(text).ok()?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, said: &[&'static str], expected: Option<bool>, left: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(MAX_FORWARDS, HeaderValue::from_static(value));
        }
        assert_eq!(count(method, &mut headers).ok(), expected, "{said:?}");
        if expected == Some(false) {
            let found = headers.get(MAX_FORWARDS).map(|one| one.to_str().unwrap());
            assert_eq!(found, left, "{said:?}");
        }
    }

    #[test]
    fn each_gateway_counts() {
        check(&Method::TRACE, &[], Some(false), None);
        check(&Method::TRACE, &["3"], Some(false), Some("2"));
        check(&Method::OPTIONS, &["01"], Some(false), Some("0"));
        check(&Method::OPTIONS, &["0"], Some(true), None);
        check(&Method::TRACE, &["0"], None, None);
        check(&Method::GET, &["0"], Some(false), Some("0"));
    }

    #[test]
    fn it_is_one_number() {
        for bad in ["", "-1", "+1", "1.0", "1, 1", "x"] {
            check(&Method::OPTIONS, &[bad], None, None);
        }
        check(&Method::OPTIONS, &["1", "1"], None, None);
        let huge = "99999999999999999999999";
        check(&Method::OPTIONS, &[huge], Some(false), Some("4294967294"));
    }
}
