//! What stands in PEM files: certificates and private keys, or a sentence that says what stands there instead.

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files::Reader;
use crate::config::ConfigError;
use crate::config::ready::NamedFile;

/// A certificate with those that lead to its authority, and the key that belongs to it.
///
/// # Errors
/// What is wrong with either file; both are looked at.
pub fn certified(
    reader: &mut Reader,
    (certificate, key): (&NamedFile, &NamedFile),
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Vec<ConfigError>> {
    let (chain, private) = match (chain(reader, certificate), private(reader, key)) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => {
            return Err([chain.err(), private.err()].into_iter().flatten().collect());
        }
    };
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        vec![match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => flaw(
                key,
                &format!("does not belong to the certificate in {}", certificate.path.display()),
                "name the key it was made for; in a file with several certificates the one of this server comes first",
            ),
            Error::InvalidCertificate(error) => flaw(
                certificate,
                &format!("begins with a certificate that cannot be read ({error})"),
                "ask its authority for another one",
            ),
            error => flaw(
                key,
                &format!("holds a key that cannot be used ({error})"),
                "use RSA with at least 2048 bits, ECDSA on P-256 or P-384, or Ed25519",
            ),
        }]
    })
}

/// The authorities in a file.
///
/// # Errors
/// There are none, or one cannot be read.
pub fn authorities(reader: &mut Reader, file: &NamedFile) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in chain(reader, file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            let problem = format!(
                "has a certificate that is no authority's, number {} ({error})",
                index + 1
            );
            flaw(file, &problem, "leave it out")
        })?;
    }
    Ok(roots)
}

/// A sentence about a file.
pub(super) fn flaw(file: &NamedFile, problem: &str, advice: &str) -> ConfigError {
    let path = file.path.display();
    ConfigError::new(file.place.clone(), format!("{path} {problem}")).advice(advice)
}

fn chain(
    reader: &mut Reader,
    file: &NamedFile,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = reader.read(file, "a certificate in PEM")?;
    let certificates: Vec<CertificateDer<'static>> = sections(file, &bytes)?
        .into_iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| der.into())
        .collect();
    if certificates.is_empty() {
        return Err(lacks(file, &bytes, "certificate"));
    }
    Ok(certificates)
}

fn private(reader: &mut Reader, file: &NamedFile) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let bytes = reader.read(file, "a private key in PEM")?;
    let key = sections(file, &bytes)?
        .into_iter()
        .find_map(|(kind, der)| match kind {
            SectionKind::PrivateKey => Some(PrivateKeyDer::Pkcs8(der.into())),
            SectionKind::RsaPrivateKey => Some(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => Some(PrivateKeyDer::Sec1(der.into())),
            _ => None,
        });
    key.ok_or_else(|| lacks(file, &bytes, "private key"))
}

fn sections(file: &NamedFile, bytes: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, ConfigError> {
    // Said by the caller, who knows better: there is nothing here, or nothing that was looked for.
    if is_encrypted(bytes) {
        return Ok(Vec::new());
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
    sections.collect::<Result<_, _>>().map_err(|error| {
        let error = match error {
            rustls_pki_types::pem::Error::MissingSectionEnd { end_marker } => {
                let end_marker = String::from_utf8_lossy(&end_marker);
                format!("the end of {} is missing", end_marker.trim())
            }
            error => error.to_string(),
        };
        let problem = format!("is broken PEM ({error})");
        flaw(file, &problem, "write the whole file again")
    })
}

/// Why a file is not what it should be: what stands in it instead.
fn lacks(file: &NamedFile, bytes: &[u8], wanted: &str) -> ConfigError {
    let holds = |marker: &str| {
        let marker = format!("-----BEGIN {marker}");
        bytes
            .windows(marker.len())
            .any(|at| at == marker.as_bytes())
    };
    let advice = format!("put the {wanted} there in PEM, or name the file that has it");
    let only = |what: &str| flaw(file, &format!("holds {what} and no {wanted}"), &advice);
    if bytes.is_empty() {
        flaw(file, "is empty", &advice)
    } else if is_encrypted(bytes) && wanted == "private key" {
        let advice =
            "write it without one (openssl pkey -in FILE -out FILE), readable by the gateway alone";
        flaw(file, "holds a key that is locked with a passphrase", advice)
    } else if holds("CERTIFICATE-") || holds("TRUSTED CERTIFICATE-") {
        only("a certificate")
    } else if holds("CERTIFICATE REQUEST-") || holds("NEW CERTIFICATE REQUEST-") {
        only("a request for a certificate")
    } else if ["", "RSA ", "EC ", "ENCRYPTED "]
        .iter()
        .any(|kind| holds(&format!("{kind}PRIVATE KEY-")))
    {
        only("a private key")
    } else {
        flaw(file, &format!("holds no {wanted} in PEM"), &advice)
    }
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let markers: [&[u8]; 2] = [
        b"-----BEGIN ENCRYPTED PRIVATE KEY",
        b"Proc-Type: 4,ENCRYPTED",
    ];
    markers
        .iter()
        .any(|marker| bytes.windows(marker.len()).any(|at| at == *marker))
}
