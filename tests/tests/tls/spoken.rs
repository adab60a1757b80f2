//! Versions, cipher suites and protocols.

use swapgate_tests::certificates::Certificates;
use swapgate_tests::openssl::{get, handshake};
use swapgate_tests::{Gateway, SecureConfig};

use super::{entries, gateway, text};

fn speaking(certificates: &Certificates, tls: &str, listener: &str) -> Gateway {
    let pair = certificates.server(&["a.example"]);
    let entries = entries(&[&pair]);
    gateway(&text(&format!(
        "tls: {{certificates: [{entries}]{tls}}}\n    {listener}"
    )))
    .start()
}

/// Demands a session of this version and with this cipher.
#[track_caller]
fn speaks(gateway: &Gateway, arguments: &[&str], cipher: &str) {
    let told = handshake(gateway.address(), arguments).text();
    assert!(
        told.contains(&format!("Cipher is {cipher}\n")),
        "{arguments:?}: {told}"
    );
}

/// Demands that there is none, and that the client is told why.
#[track_caller]
fn refuses(gateway: &Gateway, arguments: &[&str], alert: &str) {
    let finished = handshake(gateway.address(), arguments);
    assert!(!finished.status.success(), "{arguments:?}: {finished:?}");
    let complaints = finished.complaints();
    assert!(complaints.contains(alert), "{arguments:?}: {complaints}");
}

#[test]
fn both_versions_unless_one_is_left_out() {
    let certificates = Certificates::new();
    let both = speaking(&certificates, "", "");
    speaks(&both, &[], "TLS_AES_256_GCM_SHA384");
    speaks(&both, &["-tls1_2"], "ECDHE-ECDSA-AES256-GCM-SHA384");
    refuses(
        &both,
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        "alert handshake failure",
    );
    let new = speaking(&certificates, ", versions: [\"1.3\"]", "");
    speaks(&new, &["-tls1_3"], "TLS_AES_256_GCM_SHA384");
    refuses(&new, &["-tls1_2"], "alert protocol version");
    let old = speaking(&certificates, ", versions: [\"1.2\"]", "");
    speaks(&old, &[], "ECDHE-ECDSA-AES256-GCM-SHA384");
    refuses(&old, &["-tls1_3"], "alert protocol version");
    old.wait_for_metric(
        "swapgate_tls_handshakes_total{listener=\"secure\",version=\"TLSv1.2\",resumed=\"false\"}",
        1.0,
    );
    old.wait_for_metric(
        "swapgate_tls_handshake_failures_total{listener=\"secure\",reason=\"version\"}",
        1.0,
    );
}

#[test]
fn only_the_cipher_suites_of_the_list_and_in_its_order() {
    let list = ", ciphers: [TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    let gateway = speaking(&Certificates::new(), list, "");
    speaks(&gateway, &[], "TLS_CHACHA20_POLY1305_SHA256");
    speaks(
        &gateway,
        &["-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        "TLS_AES_128_GCM_SHA256",
    );
    speaks(&gateway, &["-tls1_2"], "ECDHE-ECDSA-AES128-GCM-SHA256");
    refuses(
        &gateway,
        &["-ciphersuites", "TLS_AES_256_GCM_SHA384", "-tls1_3"],
        "alert handshake failure",
    );
    refuses(
        &gateway,
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        "alert handshake failure",
    );
    gateway.wait_for_metric(
        "swapgate_tls_handshake_failures_total{listener=\"secure\",reason=\"cipher\"}",
        2.0,
    );
}

#[test]
fn a_client_that_offers_nothing_gets_http_1_and_one_that_offers_something_else_nothing() {
    let certificates = Certificates::new();
    let gateway = speaking(&certificates, "", "");
    let told = get(gateway.address(), &[]).text();
    assert!(told.contains("No ALPN negotiated"), "{told}");
    assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
    for (offers, agreed) in [
        ("h2,http/1.1", "h2"),
        ("http/1.1", "http/1.1"),
        ("x,http/1.1", "http/1.1"),
    ] {
        let told = handshake(gateway.address(), &["-alpn", offers]).text();
        assert!(told.contains(&format!("ALPN protocol: {agreed}")), "{told}");
    }
    // RFC 7301, 3.2.
    refuses(
        &gateway,
        &["-alpn", "spdy/3,x"],
        "alert no application protocol",
    );
    gateway.wait_for_metric(
        "swapgate_tls_handshake_failures_total{listener=\"secure\",reason=\"protocol\"}",
        1.0,
    );
}

#[test]
fn a_listener_without_http_1_closes_a_connection_on_which_nothing_was_agreed() {
    let certificates = Certificates::new();
    let gateway = speaking(&certificates, "", "protocols: [h2]");
    refuses(
        &gateway,
        &["-alpn", "http/1.1"],
        "alert no application protocol",
    );
    let silent = SecureConfig::new(&certificates.ca(), None).offering(&[]);
    let mut session = silent
        .connect(gateway.address(), "a.example")
        .expect("a session");
    assert!(
        session.get("a.example", "/").is_err(),
        "nobody speaks HTTP/1.1 here"
    );
    gateway.wait_for_metric(
        "swapgate_tls_handshake_failures_total{listener=\"secure\",reason=\"protocol\"}",
        2.0,
    );
}

#[test]
fn what_is_no_tls_and_what_takes_too_long_is_ended_and_counted() {
    use std::io::{Read as _, Write as _};
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let whole = super::showing(&[&pair]) + "client_timeouts: {handshake: 300ms}\n";
    let gateway = gateway(&whole).start();
    let connect = || std::net::TcpStream::connect(gateway.address()).expect("it listens");
    let counts = |reason: &str| {
        let series = "swapgate_tls_handshake_failures_total";
        let series = format!("{series}{{listener=\"secure\",reason=\"{reason}\"}}");
        gateway.wait_for_metric(&series, 1.0);
    };
    let mut plain = connect();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .expect("it listens");
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).expect("it is closed");
    // An alert (21) of TLS, and nothing else.
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    counts("malformed");
    let mut silent = connect();
    assert_eq!(silent.read_to_end(&mut answer).expect("it is closed"), 0);
    counts("timeout");
    drop(connect());
    counts("closed");
    // The client does not believe the authority.
    let stranger = SecureConfig::new(&Certificates::new().ca(), None);
    assert!(stranger.connect(gateway.address(), "a.example").is_err());
    counts("refused");
}
