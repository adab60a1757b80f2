//! What is known of the connection an exchange came on.

use std::net::SocketAddr;
use std::sync::Arc;

/// What is known of the connection an exchange came on. The same for all its exchanges.
#[derive(Debug, Default)]
pub struct Connection {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// What TLS came to, where it is spoken.
    pub tls: Option<Box<Tls>>,
    /// What the PROXY header said, where there was one.
    pub proxied: Option<Proxied>,
}

/// What TLS came to.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The version: `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, by its name in the registry of IANA.
    pub cipher: Box<str>,
    /// The name the client asked for, in lower case.
    pub sni: Option<Box<str>>,
    /// What was agreed on by ALPN.
    pub alpn: Option<Box<str>>,
    /// What the client showed, checked.
    pub client: Option<ClientCertificate>,
}

/// A certificate that a client showed and that was checked.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate itself, DER.
    pub der: Box<[u8]>,
    /// Its subject (RFC 4514).
    pub subject: Box<str>,
    /// Who issued it (RFC 4514).
    pub issuer: Box<str>,
    /// Its serial number, hexadecimal.
    pub serial: Box<str>,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: Box<str>,
    /// Its other names, such as `DNS:a.example` or `URI:spiffe://a/b`.
    pub names: Vec<Box<str>>,
}

/// What a PROXY header said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

impl Connection {
    /// The name the client asked for in the TLS handshake.
    #[must_use]
    pub fn sni(&self) -> Option<&str> {
        self.tls.as_ref()?.sni.as_deref()
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
