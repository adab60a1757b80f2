//! What the file says about TLS, towards clients and towards targets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a listener speaks TLS.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListenerTls")]
pub(in crate::config) struct RawListenerTls {
    /// One for each name, chosen by what the client asks for (SNI); the first one where none fits.
    #[schemars(length(min = 1))]
    pub(in crate::config) certificates: Vec<RawCertificate>,
    /// Which versions are spoken: `1.2`, `1.3`, or both.
    #[serde(default = "both_versions")]
    #[schemars(length(min = 1))]
    pub(in crate::config) versions: Vec<RawVersion>,
    /// Which cipher suites, by their names in the registry of IANA, best first. All that are safe unless set.
    #[serde(default)]
    pub(in crate::config) ciphers: Vec<String>,
    /// Whether clients show a certificate; without it nobody asks them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawClientCertificates")]
    pub(in crate::config) client_certificates: Option<RawClientCertificates>,
}

/// A certificate and its key.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub(in crate::config) struct RawCertificate {
    /// The file with the certificate and those that lead to its authority, PEM, relative to the folder of this file.
    pub(in crate::config) certificate: String,
    /// The file with the private key, PEM.
    pub(in crate::config) key: String,
    /// The file with the answer of the authority about its state (OCSP), DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) ocsp: Option<String>,
}

/// Whether clients show a certificate.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClientCertificates")]
pub(in crate::config) struct RawClientCertificates {
    /// `optional`: who shows none is served as well; `required`: only who shows one.
    pub(in crate::config) mode: RawClientMode,
    /// The file with the authorities that are believed, PEM.
    pub(in crate::config) ca: String,
}

/// How a target is spoken to in TLS.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamTls")]
pub(in crate::config) struct RawUpstreamTls {
    /// The file with the authorities that are believed, PEM; those of the system unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) ca: Option<String>,
    /// The name that is asked for and that the certificate must have; the IP address of the target unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) server_name: Option<String>,
    /// Whether the certificate is checked. Without that anybody in between can read and change everything.
    #[serde(default = "yes")]
    pub(in crate::config) verify: bool,
    /// The file with the certificate this gateway shows, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) certificate: Option<String>,
    /// The file with its private key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::config) key: Option<String>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[schemars(rename = "TlsVersion")]
pub(in crate::config) enum RawVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientMode")]
pub(in crate::config) enum RawClientMode {
    Optional,
    Required,
}

fn both_versions() -> Vec<RawVersion> {
    vec![RawVersion::Tls12, RawVersion::Tls13]
}

fn yes() -> bool {
    true
}
