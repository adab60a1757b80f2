//! What a client wants to change over to, and whether its route passes that on.

use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use smallvec::{SmallVec, smallvec};

use super::key::Key;
use crate::context::headers::connection_options;
use crate::respond::failure::RequestFault;

const WEBSOCKET: &str = "websocket";
/// The version of RFC 6455, and the only one there is.
const VERSION: &str = "13";

/// Copies a head out of the buffer it was read into, so that a tunnel does not keep all of that for the rest of its life.
pub(crate) fn detach(head: &mut Parts) {
    let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    if let Ok(uri) = Uri::from_maybe_shared(copy(head.uri.to_string().as_bytes())) {
        head.uri = uri;
    }
    for value in head.headers.values_mut() {
        if let Ok(own) = HeaderValue::from_maybe_shared(copy(value.as_bytes())) {
            *value = own;
        }
    }
}

/// The protocols a client offers to change over to, as it wrote them, the one it likes best first.
#[derive(Debug)]
pub(crate) struct Asked {
    tokens: SmallVec<[HeaderValue; 1]>,
    /// Whether it did so with an extended CONNECT (RFC 8441), which makes sense as nothing else.
    connect: bool,
}

/// The one protocol that is asked for upstream.
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// As the client wrote it, with its version.
    pub(crate) token: HeaderValue,
    connect: bool,
    /// The key of a WebSocket, where the client needs none but the upstream does.
    key: Option<Key>,
}

impl Asked {
    /// What a head of HTTP/1.1 offers. Without `Connection: upgrade` the field may come from somebody who does not know
    /// what it means, and in HTTP/1.0 it means nothing (RFC 9110, 7.8).
    pub(crate) fn of(version: Version, headers: &HeaderMap) -> Option<Self> {
        if version != Version::HTTP_11 || !connection_options(headers).contains(&UPGRADE) {
            return None;
        }
        let fields = headers.get_all(UPGRADE).iter();
        let tokens = fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let tokens: SmallVec<_> = tokens
            .map(<[u8]>::trim_ascii)
            .filter(|token| !token.is_empty())
            .filter_map(|token| HeaderValue::from_bytes(token).ok())
            .collect();
        (!tokens.is_empty()).then_some(Self {
            tokens,
            connect: false,
        })
    }

    /// What an extended CONNECT asks for.
    pub(crate) fn connect(token: HeaderValue) -> Self {
        Self {
            tokens: smallvec![token],
            connect: true,
        }
    }

    /// Whether it is an extended CONNECT.
    pub(crate) fn is_connect(&self) -> bool {
        self.connect
    }

    /// The first of them that a route lists. None: the request goes on as if nothing had been asked for, as anybody may
    /// decide who is asked (RFC 9110, 7.8). Not so with WebSocket: a request that makes sense only as its handshake gets
    /// an answer that says why there is none.
    ///
    /// # Errors
    /// WebSocket where the route does not list it, or a handshake of it that is none.
    pub(crate) fn choose(
        &self,
        listed: &[Box<str>],
        (method, headers): (&Method, &HeaderMap),
        has_body: bool,
    ) -> Result<Option<Upgrade>, RequestFault> {
        let is_listed = |token: &&HeaderValue| {
            let mut listed = listed.iter();
            listed.any(|listed| token.as_bytes().eq_ignore_ascii_case(listed.as_bytes()))
        };
        let Some(token) = self.tokens.iter().find(is_listed) else {
            let websocket = self.tokens.iter().any(is_websocket);
            return if websocket || self.connect {
                Err(RequestFault::NoUpgrade)
            } else {
                Ok(None)
            };
        };
        let websocket = is_websocket(token);
        if websocket {
            handshake(method, headers, has_body, self.connect)?;
        } else if has_body {
            // The change would come after the body, which is then an ordinary one.
            return Ok(None);
        }
        Ok(Some(Upgrade {
            token: token.clone(),
            connect: self.connect,
            key: (websocket && self.connect).then(Key::new),
        }))
    }
}

impl Upgrade {
    /// Asks an upstream for it. These two are all that is said of the connection.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.token.clone());
        if let Some(key) = &self.key {
            headers.insert(SEC_WEBSOCKET_KEY, key.value());
        }
    }

    /// Reads an upstream's agreement, and takes off what is not for the client; says what is wrong with it.
    pub(crate) fn is_agreed(&self, headers: &mut HeaderMap) -> Result<(), &'static str> {
        let Some(key) = &self.key else {
            return Ok(()); // Between the client and the upstream.
        };
        let accepted = one(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|said| key.fits(said));
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        if accepted {
            Ok(())
        } else {
            Err("a Sec-WebSocket-Accept that does not fit the key")
        }
    }

    /// Tells the client of it: the status, and with that the fields.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) -> StatusCode {
        if self.connect {
            return StatusCode::OK;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.token.clone());
        StatusCode::SWITCHING_PROTOCOLS
    }

    /// Whether a client would take an ordinary answer for an agreement.
    pub(crate) fn would_be_agreed(&self, status: StatusCode) -> bool {
        self.connect && status.is_success()
    }
}

fn is_websocket(token: &HeaderValue) -> bool {
    token.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

/// What RFC 6455, 4.2.1 asks of the opening handshake; of an extended CONNECT no key (RFC 8441, 5). Extensions, subprotocols and origin are for the upstream to judge.
fn handshake(
    method: &Method,
    headers: &HeaderMap,
    has_body: bool,
    connect: bool,
) -> Result<(), RequestFault> {
    let flaw = if *method != Method::GET {
        "its method must be GET"
    } else if has_body {
        "it must have no body"
    } else if !connect && !one(headers, &SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        "Sec-WebSocket-Key must be 16 bytes in base64, once"
    } else {
        return match one(headers, &SEC_WEBSOCKET_VERSION) {
            Some(version) if version == VERSION => Ok(()),
            _ => Err(RequestFault::WebSocketVersion),
        };
    };
    Err(RequestFault::WebSocket(flaw))
}

/// The value of a field that stands there once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// 16 bytes in base64: 22 digits and two signs that fill up.
fn is_key(value: &HeaderValue) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match value.as_bytes().split_at_checked(22) {
        Some((digits, filling)) => digits.iter().all(digit) && filling == b"==",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(connection: &str, upgrade: &str, listed: &[&str], expected: Result<Option<&str>, ()>) {
        let headers = map(&[
            ("connection", connection),
            ("upgrade", upgrade),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ]);
        let listed: Vec<Box<str>> = listed.iter().map(|name| Box::from(*name)).collect();
        let chosen = match Asked::of(Version::HTTP_11, &headers) {
            None => Ok(None),
            Some(asked) => asked.choose(&listed, (&Method::GET, &headers), false),
        };
        let chosen = chosen
            .map(|chosen| chosen.map(|upgrade| upgrade.token))
            .map_err(drop);
        let expected = expected.map(|token| token.map(|token| token.parse().unwrap()));
        assert_eq!(chosen, expected, "{connection} {upgrade}");
    }

    #[test]
    fn the_first_that_is_listed_is_asked_for() {
        check(
            "Upgrade",
            "WebSocket",
            &["websocket"],
            Ok(Some("WebSocket")),
        );
        check("x, upgrade", "h2c, echo/1", &["echo/1"], Ok(Some("echo/1")));
        check("upgrade", "echo/2", &["echo/1"], Ok(None));
        check("keep-alive", "websocket", &["websocket"], Ok(None));
        check("upgrade", "websocket", &[], Err(()));
        check(
            "upgrade",
            "echo/1, websocket",
            &["echo/1"],
            Ok(Some("echo/1")),
        );
        check("upgrade", ",", &["websocket"], Ok(None));
    }

    #[test]
    fn nobody_upgrades_in_http_1_0() {
        let headers = map(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        assert!(Asked::of(Version::HTTP_10, &headers).is_none());
    }

    #[test]
    fn a_handshake_is_whole() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        let read = |method: Method, lines: &[_]| handshake(&method, &map(lines), false, false);
        assert!(read(Method::GET, &[key, version]).is_ok());
        assert!(read(Method::POST, &[key, version]).is_err());
        assert!(read(Method::GET, &[version]).is_err());
        assert!(read(Method::GET, &[key, key, version]).is_err());
        assert!(read(Method::GET, &[("sec-websocket-key", "short=="), version]).is_err());
        for other in ["12", "013", ""] {
            let version = ("sec-websocket-version", other);
            let fault = read(Method::GET, &[key, version]).unwrap_err();
            assert!(matches!(fault, RequestFault::WebSocketVersion), "{other}");
        }
    }
}
