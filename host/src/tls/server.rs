//! What a listener shows its clients.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::choice::Choice;
use crate::config::ConfigError;
use crate::config::ready::{Certificate, ListenerTls, NamedFile, Protocols};

/// Makes what a listener shows its clients of the files it names.
///
/// # Errors
/// Every file that cannot be used.
pub fn build(
    tls: &ListenerTls,
    protocols: Protocols,
) -> Result<Arc<ServerConfig>, Vec<ConfigError>> {
    let provider = Arc::new(provider(tls));
    let mut errors = Vec::new();
    let mut choice = Choice::default();
    for certificate in &tls.certificates {
        match certified(certificate, &provider) {
            Ok(key) => choice.add(Arc::new(key)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let versions: Vec<_> = rustls::ALL_VERSIONS
        .iter()
        .filter(|known| tls.versions.contains(&known.version))
        .copied()
        .collect();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| refused(tls, &error.to_string()))?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(choice));
    config.alpn_protocols = alpn(protocols);
    Ok(Arc::new(config))
}

/// What is offered by ALPN, the better one first.
fn alpn(protocols: Protocols) -> Vec<Vec<u8>> {
    let offered = [(protocols.http2, "h2"), (protocols.http1, "http/1.1")];
    let offered = offered.iter().filter(|(speaks, _)| *speaks);
    offered.map(|(_, name)| name.as_bytes().to_vec()).collect()
}

/// The library's cryptography, with the suites that are admitted.
fn provider(tls: &ListenerTls) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !tls.ciphers.is_empty() {
        let known = std::mem::take(&mut provider.cipher_suites);
        let suite = |name: &rustls::CipherSuite| known.iter().find(|one| one.suite() == *name);
        provider.cipher_suites = tls.ciphers.iter().filter_map(suite).copied().collect();
    }
    provider
}

/// A certificate with its key, which belong together.
fn certified(files: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&files.certificate.path)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(&files.certificate, "certificate", &error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(
            &files.certificate,
            "certificate",
            "it holds none in PEM",
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key.path)
        .map_err(|error| unusable(&files.key, "private key", &error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| unusable(&files.key, "private key", &error.to_string()))
}

fn unusable(file: &NamedFile, what: &str, why: &str) -> ConfigError {
    let path = file.path.display();
    ConfigError::new(
        file.place.clone(),
        format!("cannot use {path} as a {what}: {why}"),
    )
}

fn refused(tls: &ListenerTls, why: &str) -> Vec<ConfigError> {
    let first = tls.certificates.first();
    let errors = first.map(|one| {
        let place = one.certificate.place.clone();
        ConfigError::new(place, format!("TLS cannot be spoken so: {why}"))
    });
    errors.into_iter().collect()
}
