//! Which header names and values the gateway takes, so that a plugin can refuse a bad configuration before any request.

use crate::status::HostError;

/// Framing and hop-by-hop headers (RFC 9110, 7.6.1; RFC 9112, 6): they belong to the gateway.
const FORBIDDEN: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a plugin may set or remove a header of this name in a request.
///
/// # Errors
///
/// As [`check_response_name`]; Host is the gateway's as well.
pub fn check_request_name(name: &str) -> Result<(), HostError> {
    if name.eq_ignore_ascii_case("host") {
        return Err(HostError::Forbidden);
    }
    check_response_name(name)
}

/// Whether a plugin may set or remove a header of this name in an answer.
///
/// # Errors
///
/// [`HostError::Invalid`]: not a header name (RFC 9110, 5.1). [`HostError::Forbidden`]: it belongs to the gateway.
pub fn check_response_name(name: &str) -> Result<(), HostError> {
    if !is_token(name) {
        return Err(HostError::Invalid);
    }
    let forbidden = |known: &&str| known.eq_ignore_ascii_case(name);
    if FORBIDDEN.iter().any(forbidden) {
        return Err(HostError::Forbidden);
    }
    Ok(())
}

/// Whether these bytes can be the value of a header: visible bytes, spaces and tabs (RFC 9110, 5.5).
///
/// # Errors
///
/// [`HostError::Invalid`]: they cannot.
pub fn check_value(value: &[u8]) -> Result<(), HostError> {
    let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if value.iter().all(allowed) {
        Ok(())
    } else {
        Err(HostError::Invalid)
    }
}

/// Whether this is a token (RFC 9110, 5.6.2), as names and methods are.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::{check_request_name, check_response_name, check_value};
    use crate::status::HostError;

    #[test]
    fn names_are_tokens_and_not_the_gateways() {
        assert_eq!(check_request_name("X-Key"), Ok(()));
        assert_eq!(check_request_name(""), Err(HostError::Invalid));
        assert_eq!(check_request_name("a b"), Err(HostError::Invalid));
        assert_eq!(check_request_name("grün"), Err(HostError::Invalid));
        assert_eq!(
            check_request_name("Transfer-Encoding"),
            Err(HostError::Forbidden)
        );
    }

    #[test]
    fn host_is_the_gateways_in_requests_only() {
        assert_eq!(check_request_name("Host"), Err(HostError::Forbidden));
        assert_eq!(check_response_name("Host"), Ok(()));
    }

    #[test]
    fn values_have_no_control_bytes() {
        assert_eq!(check_value(b"a\tb \xff"), Ok(()));
        assert_eq!(check_value(b"a\nb"), Err(HostError::Invalid));
        assert_eq!(check_value(b"a\0b"), Err(HostError::Invalid));
    }
}
