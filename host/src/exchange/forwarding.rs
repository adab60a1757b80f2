//! What the upstream is told about the client, and which of it is believed.
//!
//! From an address that is not trusted every forwarding header is replaced; from a trusted one it is continued. So an
//! upstream can rely on what arrives.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::context::headers::Survey;
use crate::respond::problem::X_REQUEST_ID;

/// `X-Forwarded-For`
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Port`
pub const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// `X-Real-IP`
pub const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

const PROXY: HeaderName = HeaderName::from_static("proxy");

/// Longest id of an exchange that is taken over from a trusted proxy.
const REQUEST_ID_BYTES: usize = 128;

/// Header values that stay the same for a whole connection.
#[derive(Debug)]
pub struct PeerValues {
    /// The peer, with port.
    pub peer: SocketAddr,
    /// The peer's address as a header value.
    address: HeaderValue,
    /// The port the client connected to.
    port: HeaderValue,
    /// `http` or `https`.
    scheme: HeaderValue,
}

impl PeerValues {
    /// Makes them once for a connection.
    #[must_use]
    pub fn new(peer: SocketAddr, local: SocketAddr, scheme: &'static str) -> Self {
        let text = peer.ip().to_canonical().to_string();
        Self {
            peer,
            address: HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown")),
            port: HeaderValue::from(local.port()),
            scheme: HeaderValue::from_static(scheme),
        }
    }
}

/// Whether forwarding headers of this peer are believed.
#[must_use]
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    !trusted.is_empty() && {
        let peer = peer.to_canonical();
        trusted.iter().any(|net| net.contains(&peer))
    }
}

/// Takes over the id a trusted proxy gave this exchange.
#[must_use]
pub fn known_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(X_REQUEST_ID)?;
    let fits = !id.is_empty()
        && id.len() <= REQUEST_ID_BYTES
        && id.as_bytes().iter().all(u8::is_ascii_graphic);
    fits.then(|| id.clone())
}

/// What is told about one exchange.
pub struct Told<'a> {
    /// The connection's own values.
    pub peer: &'a PeerValues,
    /// Addresses whose forwarding headers are believed.
    pub trusted: &'a [IpNet],
    /// The id of the exchange.
    pub request_id: HeaderValue,
    /// The host the client asked for.
    pub host: Option<HeaderValue>,
}

/// Notes what a client of HTTP/2 says with `:scheme`. As with every forwarding header it stays only where the peer is
/// trusted, and where that did not say otherwise.
pub fn says_https(headers: &mut HeaderMap) {
    headers
        .entry(X_FORWARDED_PROTO)
        .or_insert(HeaderValue::from_static("https"));
}

/// Replaces or continues the forwarding headers; gives back the client's address.
pub fn apply(headers: &mut HeaderMap, survey: Survey, told: Told<'_>) -> IpAddr {
    if survey.forwarding {
        // "httpoxy": CGI upstreams turn this one into an environment variable that names their outgoing proxy.
        headers.remove(PROXY);
        // Not continued even from a trusted proxy: one that writes X-Forwarded-For passes a client's own `Forwarded`
        // on, and an upstream that prefers it would believe the client.
        headers.remove(FORWARDED);
    }
    headers.insert(X_REQUEST_ID, told.request_id);
    let peer = told.peer.peer.ip().to_canonical();
    if is_trusted(peer, told.trusted) {
        return continue_trusted(headers, told.peer, told.trusted, told.host);
    }
    if survey.forwarding {
        remove_forwarded(headers);
    }
    headers.insert(X_FORWARDED_FOR, told.peer.address.clone());
    headers.insert(X_REAL_IP, told.peer.address.clone());
    headers.insert(X_FORWARDED_PROTO, told.peer.scheme.clone());
    headers.insert(X_FORWARDED_PORT, told.peer.port.clone());
    if let Some(host) = told.host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    peer
}

/// Takes off `X-Forwarded-` whatever: frameworks believe more of them (`-Prefix`, `-Ssl`, `-Server`) than this gateway
/// sets.
fn remove_forwarded(headers: &mut HeaderMap) {
    let mut found: SmallVec<[HeaderName; 4]> = SmallVec::new();
    let forwarded = |name: &&HeaderName| name.as_str().starts_with("x-forwarded-");
    found.extend(headers.keys().filter(forwarded).cloned());
    for name in found {
        headers.remove(name);
    }
}

fn continue_trusted(
    headers: &mut HeaderMap,
    values: &PeerValues,
    trusted: &[IpNet],
    host: Option<HeaderValue>,
) -> IpAddr {
    let client = client_of(headers, values.peer.ip().to_canonical(), trusted);
    headers.append(X_FORWARDED_FOR, values.address.clone());
    if let Ok(text) = HeaderValue::from_str(&client.to_string()) {
        headers.insert(X_REAL_IP, text);
    }
    headers
        .entry(X_FORWARDED_PROTO)
        .or_insert_with(|| values.scheme.clone());
    headers
        .entry(X_FORWARDED_PORT)
        .or_insert_with(|| values.port.clone());
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
    client
}

/// The nearest address in the list that is not a trusted proxy; the list is read from the right, because only what
/// trusted proxies appended can be believed.
fn client_of(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            let address = std::str::from_utf8(entry.trim_ascii())
                .ok()
                .and_then(|text| text.parse::<IpAddr>().ok());
            let Some(address) = address else {
                return client;
            };
            client = address.to_canonical();
            if !is_trusted(client, trusted) {
                return client;
            }
        }
    }
    client
}

/// Adds this gateway to `Via` (RFC 9110, 7.6.3).
pub fn via(headers: &mut HeaderMap, via: Option<&HeaderValue>) {
    if let Some(via) = via {
        headers.append(VIA, via.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> PeerValues {
        PeerValues::new(
            "10.0.0.9:5000".parse().unwrap(),
            "10.0.0.1:80".parse().unwrap(),
            "http",
        )
    }

    fn check(
        lines: &[(&'static str, &str)],
        trusted: &[&str],
        client: &str,
        expected: &[(&str, &[&str])],
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let survey = Survey::of(&headers);
        let told = Told {
            peer: &values(),
            trusted: &trusted,
            request_id: HeaderValue::from_static("id"),
            host: headers.get("host").cloned(),
        };
        let found = apply(&mut headers, survey, told);
        assert_eq!(found.to_string(), client);
        for (name, wanted) in expected {
            let found: Vec<&str> = headers
                .get_all(*name)
                .iter()
                .map(|v| v.to_str().unwrap())
                .collect();
            assert_eq!(&found, wanted, "{name}");
        }
    }

    #[test]
    fn a_stranger_is_not_believed() {
        check(
            &[
                ("host", "a.example"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-real-ip", "1.2.3.4"),
                ("forwarded", "for=1.2.3.4"),
                ("x-forwarded-host", "evil"),
                ("x-request-id", "mine"),
                ("proxy", "evil:80"),
            ],
            &[],
            "10.0.0.9",
            &[
                ("x-forwarded-for", &["10.0.0.9"]),
                ("x-real-ip", &["10.0.0.9"]),
                ("forwarded", &[]),
                ("x-forwarded-host", &["a.example"]),
                ("x-forwarded-port", &["80"]),
                ("x-forwarded-proto", &["http"]),
                ("x-request-id", &["id"]),
                ("proxy", &[]),
            ],
        );
    }

    #[test]
    fn a_trusted_proxy_is_continued() {
        check(
            &[
                ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.8"),
                ("x-forwarded-proto", "https"),
            ],
            &["10.0.0.0/8"],
            "1.2.3.4",
            &[
                (
                    "x-forwarded-for",
                    &["6.6.6.6, 1.2.3.4, 10.0.0.8", "10.0.0.9"],
                ),
                ("x-forwarded-proto", &["https"]),
                ("x-real-ip", &["1.2.3.4"]),
            ],
        );
    }
}

#[cfg(test)]
mod cases;
