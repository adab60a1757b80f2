//! Certificates that clients show.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use swapgate_tests::certificates::{Certificates, Pair};
use swapgate_tests::openssl::get;
use swapgate_tests::{Curl, Gateway, SecureConfig};

use super::{entries, gateway, text};

fn asking(certificates: &Certificates, mode: &str) -> Gateway {
    let pair = certificates.server(&["a.example", "127.0.0.1"]);
    let (entries, ca) = (entries(&[&pair]), certificates.ca());
    let ca = ca.display();
    gateway(&text(&format!(
        "tls: {{certificates: [{entries}], client_certificates: {{mode: {mode}, ca: \"{ca}\"}}}}"
    )))
    .start()
}

fn failures(gateway: &Gateway, reason: &str, count: f64) {
    gateway.wait_for_metric(
        &format!(
            "swapgate_tls_handshake_failures_total{{listener=\"secure\",reason=\"{reason}\"}}"
        ),
        count,
    );
}

/// What openssl says that shows this, in this version.
fn showing(
    gateway: &Gateway,
    version: &str,
    pair: Option<&Pair>,
) -> swapgate_tests::child::Finished {
    let paths =
        pair.map(|pair| [&pair.certificate, &pair.key].map(|path| path.display().to_string()));
    let shows: Vec<&str> = paths
        .iter()
        .flat_map(|[certificate, key]| ["-cert", certificate, "-key", key])
        .collect();
    get(gateway.address(), &[&[version][..], &shows].concat())
}

#[test]
fn required_means_that_nobody_gets_in_without_one() {
    let certificates = Certificates::new();
    let gateway = asking(&certificates, "required");
    let alice = certificates.client("alice", &[]);
    let others = Certificates::new();
    let eve = others.client("eve", &[]);
    for version in ["-tls1_2", "-tls1_3"] {
        let told = showing(&gateway, version, Some(&alice)).text();
        assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
        let told = showing(&gateway, version, None);
        assert!(!told.text().contains("HTTP/1.1"), "{told:?}");
        assert!(
            told.complaints().contains("alert certificate required"),
            "{told:?}"
        );
        let told = showing(&gateway, version, Some(&eve));
        assert!(!told.text().contains("HTTP/1.1"), "{told:?}");
        // Both authorities have the same name; the signature tells them apart.
        assert!(
            told.complaints().contains("alert decrypt error"),
            "{told:?}"
        );
    }
    failures(&gateway, "no_certificate", 2.0);
    failures(&gateway, "certificate", 2.0);
}

#[test]
fn optional_means_that_a_bad_one_is_still_refused() {
    let certificates = Certificates::new();
    let gateway = asking(&certificates, "optional");
    let alice = certificates.client("alice", &[]);
    let ended = {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "late");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(2020, 1, 1);
        certificates.signed("late", &params)
    };
    let server = certificates.server(&["server.example"]);
    for version in ["-tls1_2", "-tls1_3"] {
        for good in [None, Some(&alice)] {
            let told = showing(&gateway, version, good).text();
            assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
        }
        let told = showing(&gateway, version, Some(&ended));
        assert!(
            told.complaints().contains("alert certificate expired"),
            "{told:?}"
        );
        let told = showing(&gateway, version, Some(&server));
        assert!(
            !told.text().contains("HTTP/1.1"),
            "a server's is no client's: {told:?}"
        );
    }
    failures(&gateway, "certificate", 4.0);
}

#[test]
fn curl_shows_one() {
    let certificates = Certificates::new();
    let gateway = asking(&certificates, "required");
    let alice = certificates.client("alice", &[]);
    let url = format!("https://{}/", gateway.address());
    let curl = |shows: bool| {
        let curl = Curl::with(&["--http1.1", &url])
            .argument("--cacert")
            .argument(certificates.ca());
        if shows {
            let curl = curl.argument("--cert").argument(&alice.certificate);
            curl.argument("--key").argument(&alice.key).run()
        } else {
            curl.run()
        }
    };
    let answer = curl(true);
    assert_eq!(
        (answer.code, &answer.body[..]),
        (Some(0), &b"hello"[..]),
        "{answer:?}"
    );
    let answer = curl(false);
    assert!(
        answer.complaints.contains("certificate required"),
        "{answer:?}"
    );
}

#[test]
fn who_was_admitted_under_one_name_is_not_admitted_under_another() {
    let certificates = Certificates::new();
    let alice = certificates.client("alice", &[]);
    let a = certificates.server(&["a.example", "also.example"]);
    let b = certificates.server(&["b.example"]);
    let (entries, ca) = (entries(&[&a, &b]), certificates.ca());
    let whole = |clients: &str| text(&format!("tls: {{certificates: [{entries}]{clients}}}"));
    let asking = whole(&format!(
        ", client_certificates: {{mode: required, ca: \"{}\"}}",
        ca.display()
    ));
    let client = SecureConfig::new(&ca, Some(&alice));
    let asks = gateway(&asking).start();
    let free = gateway(&whole("")).start();
    let status = |gateway: &Gateway, name: &str, host: &str| {
        let mut session = client.connect(gateway.address(), name).expect("a session");
        let first = session.get(host, "/").expect("an answer").status;
        // The connection goes on for those it was opened for.
        assert_eq!(session.get(name, "/").expect("an answer").status, 200);
        first
    };
    for (name, host, expected) in [
        ("a.example", "a.example", 200),
        ("a.example", "A.example:8443", 200),
        ("a.example", "also.example", 200),
        ("a.example", "unknown.example", 200),
        ("a.example", "b.example", 421),
        ("b.example", "b.example", 200),
        ("b.example", "a.example", 421),
        ("b.example", "unknown.example", 421),
    ] {
        assert_eq!(status(&asks, name, host), expected, "{name} {host}");
        assert_eq!(status(&free, name, host), 200, "{name} {host}");
    }
}

#[test]
fn a_bundle_of_authorities_is_believed_as_a_whole() {
    let (one, two) = (Certificates::new(), Certificates::new());
    let read =
        |certificates: &Certificates| std::fs::read_to_string(certificates.ca()).expect("a file");
    let bundle = one.folder().join("bundle.pem");
    std::fs::write(&bundle, read(&one) + &read(&two)).expect("the folder is ours");
    let pair = one.server(&["a.example"]);
    let (entries, bundle) = (entries(&[&pair]), bundle.display());
    let gateway = gateway(&text(&format!(
        "tls: {{certificates: [{entries}], client_certificates: {{mode: required, ca: \"{bundle}\"}}}}"
    )))
    .start();
    for authority in [&one, &two] {
        let shows = authority.client("somebody", &[]);
        let client = SecureConfig::new(&one.ca(), Some(&shows));
        let mut session = client
            .connect(gateway.address(), "a.example")
            .expect("a session");
        assert_eq!(
            session.get("a.example", "/").expect("an answer").status,
            200
        );
    }
}
