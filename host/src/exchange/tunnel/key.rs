//! The key of a WebSocket handshake, for clients that have none: over HTTP/2 they need none (RFC 8441, 5), upstreams of
//! HTTP/1.1 do (RFC 6455, 4.1).

use http::HeaderValue;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What an upstream adds to the key before it takes the digest of both (RFC 6455, 1.3).
const ADDED: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// 16 bytes in base64.
#[derive(Debug)]
pub(super) struct Key(String);

impl Key {
    /// A key that nobody used before. It keeps no secret; it shows that the other end knows what it is doing.
    pub(super) fn new() -> Self {
        let half = || getrandom::u64().unwrap_or_default().to_be_bytes();
        Self(base64(&[half(), half()].concat()))
    }

    /// As a field says it.
    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""))
    }

    /// Whether this is what an upstream answers that knows the protocol.
    pub(super) fn fits(&self, accepted: &HeaderValue) -> bool {
        let whole = format!("{}{ADDED}", self.0);
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, whole.as_bytes());
        accepted.as_bytes() == base64(digest.as_ref()).as_bytes()
    }
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get((bits >> shift & 63) as usize);
            let is_there = place <= group.len();
            text.push(
                digit
                    .filter(|_| is_there)
                    .map_or('=', |digit| char::from(*digit)),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        // RFC 4648, 10.
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_upstream_proves_that_it_understood() {
        // RFC 6455, 1.3.
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".to_owned());
        assert!(key.fits(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert!(!key.fits(&HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")));
        let (one, two) = (Key::new(), Key::new());
        assert_eq!(one.value().len(), 24);
        assert_ne!(one.value(), two.value());
    }
}
