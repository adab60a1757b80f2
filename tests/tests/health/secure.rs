//! Checks as requests are made: in TLS, in HTTP/2, with the name that is asked for.

use swapgate_tests::certificates::Pair;
use swapgate_tests::{Certificates, Gateway, Nginx};

use super::world::{SOON, before, series, target, wait_for_check_after, wait_for_reason};

/// Keys of checks.
const HTTP: &str = "type: http, path: /healthz";
const TCP: &str = "type: tcp";

/// An nginx with TLS that is well for those who come in this protocol, by the right name.
fn nginx(listen: &str, protocol: &str, pair: &Pair) -> Nginx {
    Nginx::server(&format!(
        "listen @address@ {listen}; ssl_certificate {}; ssl_certificate_key {};
        location /healthz {{
            set $said \"$server_protocol $ssl_server_name $host\";
            if ($said = \"{protocol} users.internal users.internal\") {{ return 200; }}
            return 421;
        }}",
        pair.certificate.display(),
        pair.key.display()
    ))
}

#[track_caller]
fn is_well(gateway: &Gateway, nginx: &Nginx) {
    let address = nginx.address().to_string();
    let begun = target(gateway, &address).expect("it is configured");
    let checked = wait_for_check_after(gateway, &address, &begun);
    assert_eq!(checked["last_check"]["ok"], true, "{checked}");
}

#[test]
fn a_check_speaks_as_the_upstream_does() {
    let authority = Certificates::new();
    let pair = authority.server(&["users.internal"]);
    for (listen, protocol, spoken, kind) in [
        ("ssl", "http/1.1", "HTTP/1.1", HTTP),
        ("ssl http2", "h2", "HTTP/2.0", HTTP),
        ("ssl http2", "auto", "HTTP/2.0", HTTP),
        ("ssl", "auto", "HTTP/1.1", HTTP),
        ("ssl", "http/1.1", "HTTP/1.1", TCP),
    ] {
        let nginx = nginx(listen, spoken, &pair);
        let keys = format!(
            "protocol: {protocol}, tls: {{ca: {}, server_name: users.internal}}, health: {{active: {{{kind}, {SOON}}}}}",
            authority.ca().display()
        );
        let gateway = before(&keys, 1).set("0", nginx.address()).start();
        is_well(&gateway, &nginx);
    }
}

#[test]
fn a_certificate_that_is_not_believed_takes_a_target_out() {
    let (authority, stranger) = (Certificates::new(), Certificates::new());
    let nginx = nginx("ssl", "HTTP/1.1", &stranger.server(&["users.internal"]));
    for kind in [HTTP, TCP] {
        let keys = format!(
            "tls: {{ca: {}, server_name: users.internal}}, health: {{active: {{{kind}, {SOON}}}}}",
            authority.ca().display()
        );
        let gateway = before(&keys, 1).set("0", nginx.address()).start();
        let address = nginx.address().to_string();
        wait_for_reason(&gateway, &address, "down", "TLS with it came to nothing");
        let failed = series(
            "swapgate_health_checks_total",
            &address,
            ",result=\"tls_error\"",
        );
        assert!(gateway.metrics().value(&failed) >= Some(2.0));
    }
}
