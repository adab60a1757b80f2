//! Certificates for a test: an authority of its own, and what it signs, as files in a folder that goes with it.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use tempfile::TempDir;

/// A certificate authority and its folder.
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both as PEM files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// The public key as it stands in the certificate (DER).
    pub public_key: Vec<u8>,
}

impl Certificates {
    /// A new authority. Its own certificate is `ca.pem`, its key `ca.key`.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        write(&folder.path().join("ca.pem"), &certificate.pem());
        write(&folder.path().join("ca.key"), &key.serialize_pem());
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// The certificate of the authority, as a file.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The folder in which everything lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for a server with these names, which may be addresses; the first one names the files
    /// (`NAME.pem`, `NAME.key`) and is the common name. Called again it writes new ones over them.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    #[track_caller]
    pub fn server(&self, names: &[&str]) -> Pair {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client: its common name, which names the files, and further names.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    #[track_caller]
    pub fn client(&self, name: &str, further: &[&str]) -> Pair {
        let names = [&[name], further].concat();
        self.issue(&names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A certificate with parameters of a test's own, in `NAME.pem` and `NAME.key`.
    ///
    /// # Panics
    /// When the parameters are refused.
    #[must_use]
    #[track_caller]
    pub fn signed(&self, name: &str, params: &CertificateParams) -> Pair {
        self.signed_for(name, params, &KeyPair::generate().expect("a key"))
    }

    /// The same with a key of a test's own.
    ///
    /// # Panics
    /// When the parameters are refused.
    #[must_use]
    #[track_caller]
    pub fn signed_for(&self, name: &str, params: &CertificateParams, key: &KeyPair) -> Pair {
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        // A wildcard is no good name for a file.
        let name = name.replace('*', "any");
        let pair = Pair {
            certificate: self.folder.path().join(format!("{name}.pem")),
            key: self.folder.path().join(format!("{name}.key")),
            public_key: key.subject_public_key_info(),
        };
        write(&pair.key, &key.serialize_pem());
        write(&pair.certificate, &certificate.pem());
        pair
    }

    #[track_caller]
    fn issue(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Pair {
        let all: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(all).expect("names of hosts, or addresses");
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        self.signed(names[0], &params)
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Both as they stand in a list of certificates of a listener: `{certificate: ..., key: ...}`.
    #[must_use]
    pub fn entry(&self) -> String {
        format!(
            "{{certificate: \"{}\", key: \"{}\"}}",
            self.certificate.display(),
            self.key.display()
        )
    }
}

/// Renamed into place, so that nobody who watches the file reads half of it.
fn write(path: &Path, text: &str) {
    let aside = path.with_extension("aside");
    fs::write(&aside, text).expect("the folder is ours");
    fs::rename(aside, path).expect("the folder is ours");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::child::run;

    #[test]
    fn what_the_authority_signs_is_what_openssl_admits() {
        let certificates = Certificates::new();
        let server = certificates.server(&["a.example", "*.b.example", "127.0.0.1"]);
        let client = certificates.client("alice", &["alice.example"]);
        for (purpose, pair) in [("sslserver", &server), ("sslclient", &client)] {
            let mut openssl = Command::new("openssl");
            openssl.args(["verify", "-purpose", purpose, "-CAfile"]);
            openssl.args([&certificates.ca(), &pair.certificate]);
            let _ = run(&mut openssl).success();
        }
        assert!(server.entry().contains("a.example.pem"));
    }
}
