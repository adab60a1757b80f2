//! TLS to targets: whom the gateway believes, what it asks for, and what it shows.

use rcgen::{CertificateParams, date_time_ymd};
use swapgate_tests::certificates::Pair;
use swapgate_tests::{Certificates, Gateway, Nginx};

use super::{ECHO, before, text};

const SSL: &str = "listen @address@ ssl;";
const SSL_H2: &str = "listen @address@ ssl http2;";

/// An nginx that shows a certificate.
fn nginx(listen: &str, pair: &Pair, more: &str) -> Nginx {
    Nginx::server(&format!(
        "{listen} ssl_certificate {}; ssl_certificate_key {}; {more} {ECHO}",
        pair.certificate.display(),
        pair.key.display()
    ))
}

fn gateway(nginx: &Nginx, manner: &str) -> Gateway {
    before(&nginx.address().to_string(), manner).start()
}

/// The beginning of what a target says that got a request in this protocol, or why there is no answer.
#[track_caller]
fn check(gateway: &Gateway, expected: &str) {
    let answer = gateway.get("/echo");
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gateway.log());
    assert!(answer.text().starts_with(expected), "{}", answer.text());
}

/// The client learns nothing of it, and the log says what to do.
#[track_caller]
fn check_refused(gateway: &Gateway, expected: &str) {
    let answer = gateway.get("/echo");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!answer.text().contains("certificate"), "{}", answer.text());
    gateway.wait_for_log(expected);
}

#[test]
fn a_target_of_the_own_authority_is_believed() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let nginx = nginx(SSL, &pair, "");
    let ca = authority.ca();
    let gateway = gateway(&nginx, &format!("tls: {{ca: {}}}", ca.display()));
    check(&gateway, &format!("HTTP/1.1 https [] {}", nginx.address()));
}

#[test]
fn the_name_is_asked_for_checked_and_stands_in_host() {
    let authority = Certificates::new();
    let pair = authority.server(&["users.internal"]);
    let nginx = nginx(SSL, &pair, "");
    let tls = format!(
        "tls: {{ca: {}, server_name: users.internal}}",
        authority.ca().display()
    );
    let gateway = gateway(&nginx, &tls);
    let port = nginx.address().port();
    check(
        &gateway,
        &format!("HTTP/1.1 https [users.internal] users.internal:{port}"),
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let (authority, stranger) = (Certificates::new(), Certificates::new());
    let ca = format!("tls: {{ca: {}}}", authority.ca().display());

    let other_name = authority.server(&["users.internal"]);
    let target = nginx(SSL, &other_name, "");
    check_refused(
        &gateway(&target, &ca),
        "its certificate is not valid for 127.0.0.1, only for users.internal;",
    );

    let of_a_stranger = stranger.server(&["127.0.0.1"]);
    let target = nginx(SSL, &of_a_stranger, "");
    check_refused(
        &gateway(&target, &ca),
        "is of an authority that is not believed",
    );
    check_refused(
        &gateway(&target, "tls: {}"),
        "name its authority with tls.ca",
    );

    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let expired = authority.signed("expired", &params);
    let target = nginx(SSL, &expired, "");
    let gateway = gateway(&target, &ca);
    check_refused(&gateway, "its certificate has expired");
    let series = format!(
        "swapgate_upstream_attempts_total{{upstream=\"up\",target=\"{}\",outcome=\"tls_error\"}}",
        target.address()
    );
    assert_eq!(gateway.metrics().value(&series), Some(1.0));
}

#[test]
fn nobody_is_checked_where_that_is_asked_for_and_it_is_warned_about() {
    let stranger = Certificates::new();
    let target = nginx(SSL, &stranger.server(&["elsewhere.test"]), "");
    let gateway = gateway(&target, "tls: {verify: false}");
    check(&gateway, "HTTP/1.1 https");
    let warned = "upstream up: tls.verify is false";
    gateway.wait_for_log(warned);
}

#[test]
fn a_target_may_ask_for_a_certificate() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let client = authority.client("gateway", &[]);
    let ca = authority.ca();
    let asks = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        ca.display()
    );
    let target = nginx(SSL, &pair, &asks);
    let without = gateway(&target, &format!("tls: {{ca: {}}}", ca.display()));
    // nginx says so in HTTP.
    assert_eq!(without.get("/echo").status, 400);
    let with = gateway(
        &target,
        &format!(
            "tls: {{ca: {}, certificate: {}, key: {}}}",
            ca.display(),
            client.certificate.display(),
            client.key.display()
        ),
    );
    check(&with, "HTTP/1.1 https");
}

#[test]
fn http_2_is_agreed_on_by_alpn() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let ca = format!("tls: {{ca: {}}}", authority.ca().display());
    let both = nginx(SSL_H2, &pair, "");
    let old = nginx(SSL, &pair, "");
    check(
        &gateway(&both, &format!("protocol: h2, {ca}")),
        "HTTP/2.0 https",
    );
    check(
        &gateway(&both, &format!("protocol: auto, {ca}")),
        "HTTP/2.0 https",
    );
    check(&gateway(&both, &ca), "HTTP/1.1 https");
    check(
        &gateway(&old, &format!("protocol: auto, {ca}")),
        "HTTP/1.1 https",
    );
    check_refused(
        &gateway(&old, &format!("protocol: h2, {ca}")),
        "set protocol of the upstream to",
    );
}

#[test]
fn a_target_without_tls_is_named_as_one() {
    let target = Nginx::server(ECHO);
    check_refused(
        &gateway(&target, "tls: {verify: false}"),
        "does it speak TLS at this address?",
    );
}

#[test]
fn files_that_cannot_be_used_refuse_the_reload_all_at_once() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let other = authority.client("other", &[]);
    let target = nginx(SSL, &pair, "");
    let good = format!("tls: {{ca: {}}}", authority.ca().display());
    let gateway = gateway(&target, &good);
    let errors = gateway.reload_refused(&text(&format!(
        "tls: {{ca: nowhere.pem, certificate: {}, key: {}}}",
        pair.certificate.display(),
        other.key.display()
    )));
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].contains("upstreams[0].tls.ca"), "{errors:#?}");
    assert!(
        errors[0].contains("nowhere.pem: No such file"),
        "{errors:#?}"
    );
    assert!(
        errors[1].contains("it is not the key of the certificate"),
        "{errors:#?}"
    );
    check(&gateway, "HTTP/1.1 https");
}
