//! TLS as the configuration asks for it: which files, not what stands in them.

use std::path::PathBuf;

use rustls::{CipherSuite, ProtocolVersion};
use rustls_pki_types::ServerName;

use super::Place;

/// How a listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first one serves who asks for no name or for an unknown one.
    pub certificates: Vec<Certificate>,
    /// Which versions are spoken; at least one.
    pub versions: Vec<ProtocolVersion>,
    /// Which cipher suites, best first; empty: all that the library has.
    pub ciphers: Vec<CipherSuite>,
    /// Whether clients show a certificate.
    pub client_certificates: Option<ClientCertificates>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM, with those that lead to its authority.
    pub certificate: NamedFile,
    /// PEM.
    pub key: NamedFile,
    /// DER.
    pub ocsp: Option<NamedFile>,
}

/// That clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether they must show one.
    pub required: bool,
    /// The authorities that are believed, PEM.
    pub ca: NamedFile,
}

/// How a target is spoken to in TLS.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// The authorities that are believed, PEM; none: those of the system.
    pub ca: Option<NamedFile>,
    /// The name that is asked for and checked; none: the IP address of the target.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the certificate is checked.
    pub verify: bool,
    /// What this gateway shows: certificate and key, PEM.
    pub certificate: Option<(NamedFile, NamedFile)>,
    /// Where it stands.
    pub place: Place,
}

/// The same settings are the same wherever they stand.
impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        let one = (&self.ca, &self.server_name, self.verify, &self.certificate);
        one == (
            &other.ca,
            &other.server_name,
            other.verify,
            &other.certificate,
        )
    }
}

impl Eq for UpstreamTls {}

/// A file that the configuration names.
#[derive(Debug, Clone)]
pub struct NamedFile {
    /// Made absolute against the folder of the configuration file.
    pub path: PathBuf,
    /// Where it is named.
    pub place: Place,
}

/// The same file is the same wherever it is named.
impl PartialEq for NamedFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for NamedFile {}
