//! Makes the certificate that the contestants of a run share: ECDSA P-256, signed by itself, for this machine alone.
//!
//! `--folder` gets `certificate.pem` and `key.pem`, and `both.pem` for gateways that want them in one file.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use swapgate_bench::{Arguments, Outcome};

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let folder: PathBuf = arguments.required("--folder")?;
    arguments.finish()?;

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let names = [String::from("localhost"), String::from("127.0.0.1")];
    let certificate = CertificateParams::new(names)?.self_signed(&key)?.pem();
    let key = key.serialize_pem();
    let both = format!("{certificate}{key}");
    let files = [
        ("certificate.pem", &certificate),
        ("key.pem", &key),
        ("both.pem", &both),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        // Keys that others can read are refused by some.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}
