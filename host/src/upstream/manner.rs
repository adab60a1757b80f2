//! How targets are spoken to: with the address, what makes a connection what it is.

use std::sync::Arc;

use http::HeaderValue;
use http::uri::{Authority, Scheme};

use crate::config::ready::UpstreamProtocol;
use crate::endpoint::Endpoint;
use crate::tls::client::ClientTls;

/// How the targets of an upstream are spoken to.
#[derive(Debug, Clone)]
pub struct Manner {
    /// What they speak.
    pub protocol: UpstreamProtocol,
    /// With what TLS, if any.
    pub tls: Option<Arc<ClientTls>>,
}

/// Where a connection leads.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where to.
    pub target: Endpoint,
    /// The name that led there, if one did: in `Host`, and in the certificate.
    pub name: Option<Arc<str>>,
    /// How.
    pub manner: Manner,
}

/// What tells connections apart that nobody may mix up: two upstreams with one address and different TLS share none, nor do
/// two names of one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    target: Endpoint,
    name: Option<Arc<str>>,
    protocol: UpstreamProtocol,
    /// Of all that TLS is made of.
    tls: Option<[u8; 32]>,
}

impl Destination {
    /// An address in HTTP/1.1 without TLS.
    #[must_use]
    pub fn plain(target: Endpoint) -> Self {
        Self {
            target,
            name: None,
            manner: Manner::PLAIN,
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            target: self.target.clone(),
            name: self.name.clone(),
            protocol: self.manner.protocol,
            tls: self.manner.tls.as_ref().map(|tls| tls.digest),
        }
    }
}

impl Manner {
    /// HTTP/1.1 without TLS.
    pub const PLAIN: Self = Self {
        protocol: UpstreamProtocol::Http1,
        tls: None,
    };

    /// The scheme of requests.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }

    /// A target as a `Host` value: the name it is asked for in TLS, the name that led to it, or its address.
    #[must_use]
    pub fn host(&self, target: &Endpoint, found_by: Option<&str>) -> HeaderValue {
        let asked_for = self.tls.as_deref().and_then(ClientTls::server_name);
        let name = asked_for.as_deref().or(found_by);
        let usual = if self.tls.is_some() { 443 } else { 80 };
        let text = match (name, target) {
            (Some(name), target) => {
                // An IPv6 address stands in brackets (RFC 3986, 3.2.2).
                let (open, close) = if name.contains(':') {
                    ("[", "]")
                } else {
                    ("", "")
                };
                match target.port() {
                    Some(port) if port != usual => format!("{open}{name}{close}:{port}"),
                    _ => format!("{open}{name}{close}"),
                }
            }
            (None, Endpoint::Tcp(address)) => address.to_string(),
            // A socket in the file system has no name that a Host could carry; nginx writes this one as well.
            (None, Endpoint::Unix(_)) => "localhost".to_owned(),
        };
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("localhost"))
    }
}

/// A `Host` value as the authority of a request; none if it is none.
#[must_use]
pub fn authority(host: &HeaderValue) -> Option<Authority> {
    Authority::try_from(host.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_target_without_a_name_is_called_by_its_address() {
        let tcp = Endpoint::from(SocketAddr::from(([10, 0, 0, 7], 80)));
        let unix = Endpoint::Unix(Path::new("/run/a.sock").into());
        assert_eq!(Manner::PLAIN.host(&tcp, None), "10.0.0.7:80");
        assert_eq!(Manner::PLAIN.host(&unix, None), "localhost");
        assert_eq!(
            authority(&Manner::PLAIN.host(&tcp, None)).unwrap(),
            "10.0.0.7:80"
        );
        assert_eq!(authority(&HeaderValue::from_static("")), None);
    }

    #[test]
    fn a_target_is_called_by_the_name_that_led_to_it() {
        let at = |port| Endpoint::from(SocketAddr::from(([10, 0, 0, 7], port)));
        let name = Some("users.internal");
        assert_eq!(Manner::PLAIN.host(&at(8080), name), "users.internal:8080");
        assert_eq!(Manner::PLAIN.host(&at(80), name), "users.internal");
        let to = |name: Option<&str>| Destination {
            target: at(80),
            name: name.map(Arc::from),
            manner: Manner::PLAIN,
        };
        assert_ne!(to(name).identity(), to(Some("other")).identity());
        assert_ne!(to(name).identity(), to(None).identity());
        assert_eq!(to(name).identity(), to(name).identity());
    }
}
