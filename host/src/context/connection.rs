//! What is known of the connection an exchange came on.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Version;
use swapgate_abi as abi;

/// What is known of the connection an exchange came on. The same for all its exchanges.
#[derive(Debug, Default)]
pub struct Connection {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// What TLS came to, where it is spoken.
    pub tls: Option<Box<Tls>>,
    /// What the PROXY header said, where there was one.
    pub proxied: Option<Proxied>,
    /// Whether a PROXY header said that it is somebody else's, and not whose: its peer is the balancer, and what it says is
    /// not the balancer's.
    pub nameless: bool,
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
    /// Which certificate belongs to a name, where clients are asked for theirs.
    pub choice: Option<Arc<dyn Certificates>>,
}

/// The certificates of a listener, as far as it matters which names they are for.
pub trait Certificates: fmt::Debug + Send + Sync {
    /// Whether clients that ask for these names are shown the same ones; none stands for who asks for no name.
    fn are_same(&self, one: Option<&str>, other: Option<&str>) -> bool;
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
    /// Its other names, such as `DNS:a.example` or `URI:spiffe://a/b`, one a line: as plugins see them, who get a view.
    pub names: Box<str>,
}

/// What a PROXY header said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
    source_text: Box<str>,
    destination_text: Box<str>,
}

impl Proxied {
    /// Keeps both, and what plugins see of them.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            destination,
            source_text: source.to_string().into(),
            destination_text: destination.to_string().into(),
        }
    }

    /// The client, with port.
    #[must_use]
    pub fn source_text(&self) -> &str {
        &self.source_text
    }

    /// Where it connected to, with port.
    #[must_use]
    pub fn destination_text(&self) -> &str {
        &self.destination_text
    }
}

impl Connection {
    /// The name the client asked for in the TLS handshake.
    #[must_use]
    pub fn sni(&self) -> Option<&str> {
        self.tls.as_ref()?.sni.as_deref()
    }

    /// What the client showed.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.client.as_ref()
    }

    /// Whether requests for this host may come here. Where clients show certificates, they may not if another
    /// certificate than the one that was shown belongs to the host: who was admitted under one name is not admitted
    /// under another one by naming it in a request (RFC 9110, 15.5.20).
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let Some((tls, choice)) = self
            .tls
            .as_ref()
            .and_then(|tls| Some((tls, tls.choice.as_ref()?)))
        else {
            return true;
        };
        host.is_empty() || choice.are_same(tls.sni.as_deref(), Some(host))
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What plugins may ask of the connection. Reading it copies nothing: every answer is a view into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// `SG_ATTR_PROTOCOL`
    Protocol,
    /// `SG_ATTR_LISTENER`
    Listener,
    /// `SG_ATTR_TLS_VERSION`
    TlsVersion,
    /// `SG_ATTR_TLS_CIPHER`
    TlsCipher,
    /// `SG_ATTR_TLS_SNI`
    TlsSni,
    /// `SG_ATTR_TLS_ALPN`
    TlsAlpn,
    /// `SG_ATTR_TLS_CLIENT_SUBJECT`
    TlsClientSubject,
    /// `SG_ATTR_TLS_CLIENT_ISSUER`
    TlsClientIssuer,
    /// `SG_ATTR_TLS_CLIENT_SERIAL`
    TlsClientSerial,
    /// `SG_ATTR_TLS_CLIENT_FINGERPRINT`
    TlsClientFingerprint,
    /// `SG_ATTR_TLS_CLIENT_NAMES`
    TlsClientNames,
    /// `SG_ATTR_TLS_CLIENT_CERTIFICATE`
    TlsClientCertificate,
    /// `SG_ATTR_PROXY_SOURCE`
    ProxySource,
    /// `SG_ATTR_PROXY_DESTINATION`
    ProxyDestination,
}

impl Of {
    /// The attribute with this number in the contract, if it is one of the connection.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            abi::SG_ATTR_PROTOCOL => Self::Protocol,
            abi::SG_ATTR_LISTENER => Self::Listener,
            abi::SG_ATTR_TLS_VERSION => Self::TlsVersion,
            abi::SG_ATTR_TLS_CIPHER => Self::TlsCipher,
            abi::SG_ATTR_TLS_SNI => Self::TlsSni,
            abi::SG_ATTR_TLS_ALPN => Self::TlsAlpn,
            abi::SG_ATTR_TLS_CLIENT_SUBJECT => Self::TlsClientSubject,
            abi::SG_ATTR_TLS_CLIENT_ISSUER => Self::TlsClientIssuer,
            abi::SG_ATTR_TLS_CLIENT_SERIAL => Self::TlsClientSerial,
            abi::SG_ATTR_TLS_CLIENT_FINGERPRINT => Self::TlsClientFingerprint,
            abi::SG_ATTR_TLS_CLIENT_NAMES => Self::TlsClientNames,
            abi::SG_ATTR_TLS_CLIENT_CERTIFICATE => Self::TlsClientCertificate,
            abi::SG_ATTR_PROXY_SOURCE => Self::ProxySource,
            abi::SG_ATTR_PROXY_DESTINATION => Self::ProxyDestination,
            _ => return None,
        })
    }

    /// What the connection has under it; `version` is that of the request.
    #[must_use]
    pub fn read(self, connection: &Connection, version: Version) -> Option<&[u8]> {
        let tls = connection.tls.as_deref();
        let client = connection.client_certificate();
        let proxied = connection.proxied.as_ref();
        let text: Option<&str> = match self {
            Self::Protocol => Some(protocol(version)),
            Self::Listener => Some(&connection.listener),
            Self::TlsVersion => tls.map(|tls| tls.version),
            Self::TlsCipher => tls.map(|tls| &*tls.cipher),
            Self::TlsSni => connection.sni(),
            Self::TlsAlpn => tls.and_then(|tls| tls.alpn.as_deref()),
            Self::TlsClientSubject => client.map(|client| &*client.subject),
            Self::TlsClientIssuer => client.map(|client| &*client.issuer),
            Self::TlsClientSerial => client.map(|client| &*client.serial),
            Self::TlsClientFingerprint => client.map(|client| &*client.fingerprint),
            Self::TlsClientNames => client.map(|client| &*client.names),
            Self::TlsClientCertificate => return client.map(|client| &*client.der),
            Self::ProxySource => proxied.map(Proxied::source_text),
            Self::ProxyDestination => proxied.map(Proxied::destination_text),
        };
        text.map(str::as_bytes)
    }
}

/// A version of HTTP, as logs write it.
#[must_use]
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(connection: &Connection, number: u32, expected: Option<&str>) {
        let of = Of::from_number(number).expect("it is one of the connection");
        let found = of.read(connection, Version::HTTP_2);
        assert_eq!(found, expected.map(str::as_bytes));
    }

    #[test]
    fn a_plain_connection_has_a_protocol_and_a_listener() {
        let connection = Connection {
            listener: "public".into(),
            ..Connection::default()
        };
        for number in abi::SG_ATTR_PROTOCOL..=abi::SG_ATTR_PROXY_DESTINATION {
            let expected = match number {
                abi::SG_ATTR_PROTOCOL => Some("HTTP/2"),
                abi::SG_ATTR_LISTENER => Some("public"),
                _ => None,
            };
            check(&connection, number, expected);
        }
        assert_eq!(Of::from_number(abi::SG_ATTR_PROXY_DESTINATION + 1), None);
    }

    #[test]
    fn what_there_is_is_read_where_it_lies() {
        let client = ClientCertificate {
            der: Box::new([0x30, 0x00]),
            subject: "CN=alice".into(),
            issuer: "CN=ca".into(),
            serial: "0a".into(),
            fingerprint: "ff".into(),
            names: "DNS:a.example\nURI:spiffe://a/b".into(),
        };
        let connection = Connection {
            listener: "secure".into(),
            tls: Some(Box::new(Tls {
                choice: None,
                version: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256".into(),
                sni: Some("a.example".into()),
                alpn: None,
                client: Some(client),
            })),
            proxied: Some(Proxied::new(
                ([192, 0, 2, 1], 5).into(),
                (std::net::Ipv6Addr::LOCALHOST, 443).into(),
            )),
            nameless: false,
        };
        check(&connection, abi::SG_ATTR_TLS_VERSION, Some("TLSv1.3"));
        check(&connection, abi::SG_ATTR_TLS_SNI, Some("a.example"));
        check(&connection, abi::SG_ATTR_TLS_ALPN, None);
        check(
            &connection,
            abi::SG_ATTR_TLS_CLIENT_SUBJECT,
            Some("CN=alice"),
        );
        let names = Some("DNS:a.example\nURI:spiffe://a/b");
        check(&connection, abi::SG_ATTR_TLS_CLIENT_NAMES, names);
        check(
            &connection,
            abi::SG_ATTR_TLS_CLIENT_CERTIFICATE,
            Some("0\0"),
        );
        check(&connection, abi::SG_ATTR_PROXY_SOURCE, Some("192.0.2.1:5"));
        check(
            &connection,
            abi::SG_ATTR_PROXY_DESTINATION,
            Some("[::1]:443"),
        );
    }
}
