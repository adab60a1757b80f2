//! Which headers belong to one connection, which a plugin may touch, and how large what it sets may be.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::Denied;
use super::client_headers::has_underscore;

/// Longest header value a plugin may set, in bytes.
pub const VALUE_BYTES: usize = 16 * 1024;
/// How many header lines a map may hold after a plugin added one.
pub const LINES: usize = 512;

/// Whether a header belongs to one connection and never to a message that is forwarded (RFC 9110, 7.6.1).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    // Compared as text: one switch on the length, where comparing names would build nine of them each time.
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            // The HTTP/2 upgrade over cleartext (RFC 7540, 3.2.1), which RFC 9113 took out again.
            | "http2-settings"
    )
}

/// Which of the header fields that need care a message has, found in one pass: most messages have none of them, and
/// each look-up that is not made is a hash that is not computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Any that belongs to one connection.
    pub hop_by_hop: bool,
    /// `Transfer-Encoding`
    pub transfer_encoding: bool,
    /// `Content-Length`
    pub content_length: bool,
    /// `Accept`
    pub accept: bool,
    /// `Expect`
    pub expect: bool,
    /// `Upgrade`
    pub upgrade: bool,
    /// `Proxy`, `Forwarded`, `X-Forwarded-` whatever.
    pub forwarding: bool,
    /// Any with an underscore in its name.
    pub underscores: bool,
}

impl Survey {
    /// Looks at every name once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "host" | "user-agent" | "content-type" | "date" | "server" => {}
                "content-length" => survey.content_length = true,
                "accept" => survey.accept = true,
                "expect" => survey.expect = true,
                "proxy" | "forwarded" => survey.forwarding = true,
                "transfer-encoding" => {
                    survey.transfer_encoding = true;
                    survey.hop_by_hop = true;
                }
                "upgrade" => {
                    survey.upgrade = true;
                    survey.hop_by_hop = true;
                }
                other => {
                    survey.hop_by_hop |= is_hop_by_hop(name);
                    survey.forwarding |= other.starts_with("x-forwarded-");
                    survey.underscores |= has_underscore(other);
                }
            }
        }
        survey
    }
}

/// Takes off every header that belongs to one connection, in either direction (RFC 9110, 7.6.1).
///
/// It runs before anything of the gateway or of a plugin is set, so `Connection: x-request-id` can remove only what
/// the sender itself sent.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, survey: Survey) {
    if !survey.hop_by_hop {
        return;
    }
    if headers.contains_key(CONNECTION) {
        for name in connection_options(headers) {
            // These two are not options of a connection, whatever a sender claims: taking them off would change
            // what the message means.
            if name != HOST && name != CONTENT_LENGTH {
                headers.remove(name);
            }
        }
    }
    let mut found: SmallVec<[HeaderName; 4]> = SmallVec::new();
    found.extend(headers.keys().filter(|name| is_hop_by_hop(name)).cloned());
    for name in found {
        headers.remove(name);
    }
}

/// What `Connection` lists, in lower case; what is no name is left out.
pub(crate) fn connection_options(headers: &HeaderMap) -> SmallVec<[HeaderName; 4]> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .collect()
}

/// Reads a header name for a change.
///
/// # Errors
/// Not a name (RFC 9110, 5.1), or one that belongs to the gateway.
pub fn changeable(name: &[u8], request: bool) -> Result<HeaderName, Denied> {
    let name = HeaderName::from_bytes(name).map_err(|_| Denied::Invalid)?;
    let framing = is_hop_by_hop(&name) || name == CONTENT_LENGTH || (request && name == HOST);
    if framing {
        Err(Denied::Forbidden)
    } else {
        Ok(name)
    }
}

/// Reads a header value for a change; copies it.
///
/// # Errors
/// Not a value (RFC 9110, 5.5), or too long.
pub fn value(bytes: &[u8]) -> Result<HeaderValue, Denied> {
    if bytes.len() > VALUE_BYTES {
        return Err(Denied::TooLarge);
    }
    HeaderValue::from_bytes(bytes).map_err(|_| Denied::Invalid)
}

/// Replaces every value of a header by one.
///
/// # Errors
/// The map is full.
pub fn set(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Denied> {
    if map.len() >= LINES && !map.contains_key(&name) {
        return Err(Denied::TooLarge);
    }
    map.insert(name, value);
    Ok(())
}

/// Adds a value to a header.
///
/// # Errors
/// The map is full.
pub fn append(map: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Denied> {
    if map.len() >= LINES {
        return Err(Denied::TooLarge);
    }
    map.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_belongs_to_the_gateway() {
        for name in [
            "connection",
            "Transfer-Encoding",
            "content-length",
            "TE",
            "upgrade",
            "keep-alive",
        ] {
            assert_eq!(
                changeable(name.as_bytes(), false),
                Err(Denied::Forbidden),
                "{name}"
            );
        }
        assert_eq!(changeable(b"host", true), Err(Denied::Forbidden));
        assert!(changeable(b"host", false).is_ok());
        assert!(changeable(b"x-any", true).is_ok());
    }

    #[test]
    fn splitting_is_impossible() {
        for bad in [&b"a\r\nb"[..], b"a\nb", b"a\0b"] {
            assert_eq!(value(bad), Err(Denied::Invalid));
        }
        for bad in [&b""[..], b"a b", b"a:", b"a\r"] {
            assert_eq!(changeable(bad, true), Err(Denied::Invalid));
        }
    }
}

#[cfg(test)]
mod cases;
