//! The connection of an exchange in memory.

use std::ops::RangeInclusive;

use swapgate_abi::code;

/// The attributes of the connection.
pub(super) const KNOWN: RangeInclusive<u32> =
    code::SG_ATTR_PROTOCOL..=code::SG_ATTR_PROXY_DESTINATION;

/// What TLS came to: by default TLS 1.3 with `TLS_AES_256_GCM_SHA384`, without a name and without ALPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The cipher suite, by its name at IANA.
    pub cipher: String,
    /// The name the client asked for, lower case.
    pub sni: Option<String>,
    /// What ALPN agreed on.
    pub alpn: Option<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            sni: None,
            alpn: None,
        }
    }
}

impl Tls {
    /// The usual one, of a client that asked for a name.
    #[must_use]
    pub fn sni(name: &str) -> Self {
        Self {
            sni: Some(name.to_owned()),
            ..Self::default()
        }
    }
}

/// What a client showed. Whoever needs one field only leaves the others empty: `..ClientCertificate::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject (RFC 4514).
    pub subject: String,
    /// Who issued it (RFC 4514).
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Its other names, one a line: `DNS:a.example`, `URI:spiffe://x`.
    pub names: String,
    /// The certificate itself, DER.
    pub der: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) protocol: String,
    pub(super) listener: String,
    pub(super) tls: Option<Tls>,
    pub(super) client: Option<ClientCertificate>,
    /// Source and destination.
    pub(super) proxied: Option<(String, String)>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            protocol: "HTTP/1.1".to_owned(),
            listener: "test".to_owned(),
            tls: None,
            client: None,
            proxied: None,
        }
    }
}

impl Connection {
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn source(&self) -> Option<&str> {
        self.proxied.as_ref().map(|(source, _)| source.as_str())
    }

    pub(super) fn destination(&self) -> Option<&str> {
        self.proxied
            .as_ref()
            .map(|(_, destination)| destination.as_str())
    }

    /// The attribute, if the connection has it.
    pub(super) fn read(&self, attr: u32) -> Option<&[u8]> {
        let tls = self.tls.as_ref();
        let client = self.client.as_ref();
        let text: Option<&str> = match attr {
            code::SG_ATTR_PROTOCOL => Some(&self.protocol),
            code::SG_ATTR_LISTENER => Some(&self.listener),
            code::SG_ATTR_TLS_VERSION => tls.map(|tls| &*tls.version),
            code::SG_ATTR_TLS_CIPHER => tls.map(|tls| &*tls.cipher),
            code::SG_ATTR_TLS_SNI => tls.and_then(|tls| tls.sni.as_deref()),
            code::SG_ATTR_TLS_ALPN => tls.and_then(|tls| tls.alpn.as_deref()),
            code::SG_ATTR_TLS_CLIENT_SUBJECT => client.map(|client| &*client.subject),
            code::SG_ATTR_TLS_CLIENT_ISSUER => client.map(|client| &*client.issuer),
            code::SG_ATTR_TLS_CLIENT_SERIAL => client.map(|client| &*client.serial),
            code::SG_ATTR_TLS_CLIENT_FINGERPRINT => client.map(|client| &*client.fingerprint),
            code::SG_ATTR_TLS_CLIENT_NAMES => client.map(|client| &*client.names),
            code::SG_ATTR_TLS_CLIENT_CERTIFICATE => return client.map(|client| &*client.der),
            code::SG_ATTR_PROXY_SOURCE => self.source(),
            code::SG_ATTR_PROXY_DESTINATION => self.destination(),
            _ => None,
        };
        text.map(str::as_bytes)
    }
}
