//! Which certificate a client is shown.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use swapgate_tests::certificates::Certificates;
use swapgate_tests::openssl::{handshake, openssl};
use swapgate_tests::secure::fingerprint_of;

use super::{client, gateway, showing, text};

#[test]
fn the_one_of_the_name_that_is_asked_for() {
    let all = Certificates::new();
    let first = all.server(&["first.example"]);
    let wildcard = all.server(&["*.b.example", "b.example"]);
    let exact = all.server(&["x.b.example"]);
    let gateway = gateway(&showing(&[&first, &wildcard, &exact])).start();
    let check = |name: &[&str], common_name: &str| {
        let told = handshake(gateway.address(), name).text();
        let subject = format!("subject=CN = {common_name}");
        assert!(told.contains(&subject), "{name:?}: {told}");
    };
    check(&["-noservername"], "first.example");
    check(&["-servername", "first.example"], "first.example");
    check(&["-servername", "nobody.example"], "first.example");
    check(&["-servername", "a.b.example"], "*.b.example");
    check(&["-servername", "A.B.Example"], "*.b.example");
    check(&["-servername", "b.example"], "*.b.example");
    check(&["-servername", "x.b.example"], "x.b.example");
    check(&["-servername", "x.y.b.example"], "first.example");
    let status = gateway.status();
    let shown = &status["listeners"][0]["certificates"];
    assert_eq!(shown[1]["names"][0], "*.b.example", "{status}");
    assert_eq!(shown[2]["fingerprint"], fingerprint_of(&exact));
    assert_eq!(shown[0]["key"], "ecdsa");
}

#[test]
fn of_several_for_a_name_the_one_whose_key_the_client_can_check() {
    let all = Certificates::new();
    let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    let signed = |name: &str, kind| {
        let key = KeyPair::generate_for(kind).expect("a key");
        all.signed_for(name, &params, &key)
    };
    let ecdsa = signed("ecdsa", &PKCS_ECDSA_P256_SHA256);
    let second = signed("second", &PKCS_ECDSA_P256_SHA256);
    let ed25519 = signed("ed25519", &PKCS_ED25519);
    // rcgen makes no RSA keys with this cryptography, so openssl does.
    let at = |name: &str| all.folder().join(name).display().to_string();
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        &at("rsa.key"),
    ]);
    openssl(&[
        "req",
        "-new",
        "-x509",
        "-key",
        &at("rsa.key"),
        "-subj",
        "/CN=rsa",
        "-addext",
        "subjectAltName=DNS:a.example",
        "-days",
        "100",
        "-out",
        &at("rsa.pem"),
    ]);
    let rsa = format!(
        "{{certificate: \"{}\", key: \"{}\"}}",
        at("rsa.pem"),
        at("rsa.key")
    );
    let certificates = [ecdsa.entry(), second.entry(), ed25519.entry(), rsa].join(", ");
    let gateway = gateway(&text(&format!("tls: {{certificates: [{certificates}]}}"))).start();
    let check = |arguments: &[&str], kind: &str| {
        let told = handshake(gateway.address(), arguments).text();
        assert!(
            told.contains(&format!("Peer signature type: {kind}")),
            "{arguments:?}: {told}"
        );
    };
    let name = ["-servername", "a.example"];
    check(&name, "ECDSA");
    for server_name in [&name[..], &["-noservername"]] {
        let with = |more: &[&'static str]| [server_name, more].concat();
        check(&with(&["-sigalgs", "ed25519"]), "ed25519");
        check(&with(&["-sigalgs", "rsa_pss_rsae_sha256"]), "RSA-PSS");
        check(&with(&["-tls1_2", "-sigalgs", "RSA+SHA256"]), "RSA");
    }
    let notes = gateway.status()["notes"].to_string();
    assert!(
        notes.contains("second.pem is never shown: certificates before it are for a.example"),
        "{notes}"
    );
    let session = client(&all)
        .connect(gateway.address(), "a.example")
        .expect("a session");
    assert_eq!(session.fingerprint(), fingerprint_of(&ecdsa));
}

#[test]
fn the_name_that_was_asked_for_is_a_condition_of_routes() {
    let all = Certificates::new();
    let pair = all.server(&["a.example", "b.example", "*.c.example"]);
    let text = showing(&[&pair]).replace(
        "routes: [",
        "routes:\n  - {name: a, snis: [\"a.example\"], respond: {body: \"for a\"}}\n  - {name: c, snis: [\"*.c.example\"], respond: {body: \"for c\"}}\n  - ",
    );
    let text = text.trim_end().trim_end_matches(']').to_owned() + "\n";
    let gateway = gateway(&text).start();
    let check = |name: &str, body: &str| {
        let mut session = client(&all)
            .connect(gateway.address(), name)
            .expect("a session");
        // Whatever host the request says.
        let answer = session.get("b.example", "/").expect("an answer");
        assert_eq!(answer.body, body.as_bytes(), "{name}");
    };
    check("a.example", "for a");
    check("x.c.example", "for c");
    check("b.example", "hello");
}
