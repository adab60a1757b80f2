//! The connection an exchange came on.

use swapgate_abi::code;

use super::Exchange;
use crate::view::Value;

/// What is known of the connection an exchange came on: the same for all its exchanges, but for the protocol's minor
/// version. Nothing is read before it is asked for, and nothing is copied.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'x>(&'x Exchange<'x>);

/// What TLS came to.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'x>(&'x Exchange<'x>);

/// A certificate that the client showed and that the gateway checked.
#[derive(Debug, Clone, Copy)]
pub struct ClientCertificate<'x>(&'x Exchange<'x>);

impl Exchange<'_> {
    /// The connection it came on: protocol, TLS, the client's certificate, a PROXY header.
    #[must_use]
    pub fn connection(&self) -> Connection<'_> {
        Connection(self)
    }
}

impl<'x> Connection<'x> {
    /// The protocol of this request: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    #[must_use]
    pub fn protocol(self) -> &'x str {
        self.0.text(code::SG_ATTR_PROTOCOL)
    }

    /// The name of the listener.
    #[must_use]
    pub fn listener(self) -> &'x str {
        self.0.text(code::SG_ATTR_LISTENER)
    }

    /// What TLS came to, where the client speaks it with this gateway.
    #[must_use]
    pub fn tls(self) -> Option<Tls<'x>> {
        let spoken = self.0.known_text(code::SG_ATTR_TLS_VERSION);
        spoken.map(|_| Tls(self.0))
    }

    /// The certificate the client showed, if it showed one.
    #[must_use]
    pub fn client_certificate(self) -> Option<ClientCertificate<'x>> {
        let shown = self.0.known_text(code::SG_ATTR_TLS_CLIENT_FINGERPRINT);
        shown.map(|_| ClientCertificate(self.0))
    }

    /// The client that a PROXY header named, with port.
    #[must_use]
    pub fn proxy_source(self) -> Option<&'x str> {
        self.0.known_text(code::SG_ATTR_PROXY_SOURCE)
    }

    /// Where that client connected to, with port.
    #[must_use]
    pub fn proxy_destination(self) -> Option<&'x str> {
        self.0.known_text(code::SG_ATTR_PROXY_DESTINATION)
    }
}

impl<'x> Tls<'x> {
    /// `TLSv1.2` or `TLSv1.3`.
    #[must_use]
    pub fn version(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_VERSION)
    }

    /// The cipher suite, by its name at IANA.
    #[must_use]
    pub fn cipher(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_CIPHER)
    }

    /// The name the client asked for, lower case.
    #[must_use]
    pub fn sni(self) -> Option<&'x str> {
        self.0.known_text(code::SG_ATTR_TLS_SNI)
    }

    /// What ALPN agreed on: `h2`, `http/1.1`.
    #[must_use]
    pub fn alpn(self) -> Option<&'x str> {
        self.0.known_text(code::SG_ATTR_TLS_ALPN)
    }
}

impl<'x> ClientCertificate<'x> {
    /// Its subject (RFC 4514).
    #[must_use]
    pub fn subject(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_CLIENT_SUBJECT)
    }

    /// Who issued it (RFC 4514).
    #[must_use]
    pub fn issuer(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_CLIENT_ISSUER)
    }

    /// Its serial number, hexadecimal.
    #[must_use]
    pub fn serial(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_CLIENT_SERIAL)
    }

    /// SHA-256 of it, hexadecimal.
    #[must_use]
    pub fn fingerprint(self) -> &'x str {
        self.0.text(code::SG_ATTR_TLS_CLIENT_FINGERPRINT)
    }

    /// Its other names by kind: `("DNS", "a.example")`, `("URI", "spiffe://a/b")`.
    pub fn names(self) -> impl Iterator<Item = (&'x str, &'x str)> {
        let lines = self.0.text(code::SG_ATTR_TLS_CLIENT_NAMES).lines();
        lines.filter_map(|line| line.split_once(':'))
    }

    /// The certificate itself, DER.
    #[must_use]
    pub fn der(self) -> &'x [u8] {
        let found = self.0.raw.attr_text(code::SG_ATTR_TLS_CLIENT_CERTIFICATE);
        found.map_or(&[], Value::as_bytes)
    }
}
