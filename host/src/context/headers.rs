//! Which headers a plugin may touch, and how large what it sets may be.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Denied;

/// Longest header value a plugin may set, in bytes.
pub const VALUE_BYTES: usize = 16 * 1024;
/// How many header lines a map may hold after a plugin added one.
pub const LINES: usize = 512;

/// `Keep-Alive`, which no RFC names any more and everybody sends (RFC 9112, C.2.2).
pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// `Proxy-Connection`, likewise.
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether a header belongs to one connection and never to a message that is forwarded (RFC 9110, 7.6.1).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
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
