//! Answers of the authority about a certificate, shown beside it.

use std::fs;
use std::path::PathBuf;

use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::openssl::{handshake, openssl};

use super::{gateway, text};

/// Has openssl answer for the authority, in a file beside the certificate.
#[track_caller]
fn answer(certificates: &Certificates, pair: &Pair, state: &str) -> PathBuf {
    let at = |path: &std::path::Path| path.display().to_string();
    let serial = openssl(&["x509", "-noout", "-serial", "-in", &at(&pair.certificate)]).text();
    let serial = serial.trim().trim_start_matches("serial=").to_owned();
    let index = certificates.folder().join("index.txt");
    let revoked = if state == "R" { "260101000000Z" } else { "" };
    let line = format!("{state}\t401231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n");
    fs::write(&index, line).expect("the folder is ours");
    let file = pair.certificate.with_extension("ocsp");
    let aside = pair.certificate.with_extension("ocsp-aside");
    let (ca, key) = (
        at(&certificates.ca()),
        at(&certificates.folder().join("ca.key")),
    );
    openssl(&[
        "ocsp",
        "-index",
        &at(&index),
        "-CA",
        &ca,
        "-rsigner",
        &ca,
        "-rkey",
        &key,
        "-issuer",
        &ca,
        "-cert",
        &at(&pair.certificate),
        "-ndays",
        "7",
        "-respout",
        &at(&aside),
    ]);
    fs::rename(aside, &file).expect("the folder is ours");
    file
}

fn stapling(pair: &Pair, file: &std::path::Path) -> String {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let file = file.display();
    text(&format!(
        "tls: {{certificates: [{{certificate: \"{certificate}\", key: \"{key}\", ocsp: \"{file}\"}}]}}"
    ))
}

#[test]
fn is_shown_and_replaced_with_its_file() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let file = answer(&certificates, &pair, "V");
    let gateway = gateway(&stapling(&pair, &file)).start();
    let told = |version: &str| handshake(gateway.address(), &[version, "-status"]).text();
    for version in ["-tls1_2", "-tls1_3"] {
        let told = told(version);
        assert!(told.contains("OCSP Response Status: successful"), "{told}");
        assert!(told.contains("Cert Status: good"), "{told}");
    }
    let shown = gateway.status()["listeners"][0]["certificates"][0]["ocsp"].clone();
    assert_eq!(shown["state"], "good", "{shown}");
    assert!(
        shown["until"]
            .as_str()
            .is_some_and(|until| until.starts_with("20")),
        "{shown}"
    );
    let generation = gateway.generation();
    let _ = answer(&certificates, &pair, "R");
    gateway.wait_for_generation_after(generation);
    assert!(told("-tls1_3").contains("Cert Status: revoked"));
    let notes = gateway.status()["notes"].to_string();
    assert!(
        notes.contains("says that the certificate is revoked"),
        "{notes}"
    );
}

#[test]
fn that_is_about_another_certificate_is_not_shown_and_said() {
    let certificates = Certificates::new();
    let (pair, other) = (
        certificates.server(&["a.example"]),
        certificates.server(&["b.example"]),
    );
    let file = answer(&certificates, &other, "V");
    let gateway = gateway(&stapling(&pair, &file)).start();
    let told = handshake(gateway.address(), &["-status"]).text();
    assert!(told.contains("OCSP response: no response sent"), "{told}");
    let notes = gateway.status()["notes"].to_string();
    assert!(
        notes.contains("b.example.ocsp is about another certificate and is not shown"),
        "{notes}"
    );
}

#[test]
fn that_is_none_ends_a_start() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let good = fs::read(answer(&certificates, &pair, "V")).expect("a file");
    let file = certificates.folder().join("wrong.ocsp");
    // What a responder says that does not want to answer (RFC 6960, 4.2.1): tryLater.
    let refused = b"\x30\x03\x0a\x01\x03".to_vec();
    for (bytes, problem) in [
        (Vec::new(), "is no answer of an OCSP responder in DER"),
        (
            b"hello".to_vec(),
            "is no answer of an OCSP responder in DER",
        ),
        (
            fs::read(&pair.certificate).expect("a file"),
            "is no answer of an OCSP responder in DER",
        ),
        (
            good[..good.len() / 2].to_vec(),
            "is no answer of an OCSP responder in DER",
        ),
        (
            refused,
            "is the answer of an OCSP responder that refused to tell",
        ),
    ] {
        fs::write(&file, bytes).expect("the folder is ours");
        let refusal = gateway(&stapling(&pair, &file)).start_refused();
        assert_eq!(refusal.code, Some(2), "{}", refusal.stderr);
        let expected = format!("wrong.ocsp {problem}; ask the responder again, or leave ocsp out");
        assert!(refusal.stderr.contains(&expected), "{}", refusal.stderr);
    }
}
