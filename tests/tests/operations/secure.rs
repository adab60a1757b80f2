//! Callouts over TLS, HTTP/2 and Unix sockets, to a real nginx.

use swapgate_tests::{Certificates, Gateway, Nginx};

use crate::world::{ask, probe};

const ECHO: &str = "location /echo { return 200 \"$server_protocol $scheme [$ssl_server_name] $request_method\"; }";

/// An nginx that shows a certificate for `localhost`, in the network and at a Unix socket.
fn nginx(authority: &Certificates) -> Nginx {
    let pair = authority.server(&["localhost"]);
    Nginx::server(&format!(
        "listen @address@ ssl http2; listen unix:@folder@/up.sock http2;
        ssl_certificate {}; ssl_certificate_key {}; {ECHO}",
        pair.certificate.display(),
        pair.key.display()
    ))
}

fn gateway(authority: &Certificates, nginx: &Nginx, trusted: &Certificates) -> Gateway {
    let text = format!(
        "\
workers: 1
callouts: {{allow: [\"https://localhost:{port}\", \"https://127.0.0.1:{port}\"]}}
upstreams:
  - {{name: h2, protocol: h2, tls: {{ca: {ca}, server_name: localhost}}, targets: [{{address: \"@up@\"}}]}}
  - {{name: h1, tls: {{ca: {ca}, server_name: localhost}}, targets: [{{address: \"@up@\"}}]}}
  - {{name: unix, protocol: h2, targets: [{{address: \"unix:{folder}/up.sock\"}}]}}
services: [{{name: h2, upstream: h2}}, {{name: h1, upstream: h1}}, {{name: unix, upstream: unix}}]
routes: [{{name: all, service: h2, plugins: [{{name: probe}}]}}]
",
        port = nginx.address().port(),
        ca = authority.ca().display(),
        folder = nginx.folder().display(),
    );
    Gateway::with(&text)
        .set("up", nginx.address())
        .environment("SSL_CERT_FILE", &trusted.ca().display().to_string())
        .plugin_bytes("libprobe.so", &probe("1.0.0"))
        .start()
}

#[track_caller]
fn called(gateway: &Gateway, lines: &[(&str, &str)]) -> String {
    ask(gateway, "/call", lines).text()
}

#[test]
fn services_are_called_as_their_upstreams_are_spoken_to() {
    let authority = Certificates::new();
    let nginx = nginx(&authority);
    let gateway = gateway(&authority, &nginx, &authority);
    for (service, expected) in [
        ("h2", "200 HTTP/2.0 https [localhost] GET"),
        ("h1", "200 HTTP/1.1 https [localhost] GET"),
        ("unix", "200 HTTP/2.0 http [] GET"),
    ] {
        for _ in 0..3 {
            let told = called(&gateway, &[("x-service", service), ("x-url", "/echo")]);
            assert_eq!(told, expected, "{}", gateway.log());
        }
        let posted = [
            ("x-service", service),
            ("x-url", "/echo"),
            ("x-method", "POST"),
            ("x-body", "hello"),
        ];
        let told = called(&gateway, &posted);
        assert_eq!(told, expected.replace("GET", "POST"));
    }
}

#[test]
fn urls_in_tls_are_checked_by_the_authorities_of_the_system() {
    let (authority, stranger) = (Certificates::new(), Certificates::new());
    let nginx = nginx(&authority);
    let port = nginx.address().port();
    let named = format!("https://localhost:{port}/echo");
    let by_address = format!("https://127.0.0.1:{port}/echo");
    let trusting = gateway(&authority, &nginx, &authority);
    assert_eq!(
        called(&trusting, &[("x-url", &named)]),
        "200 HTTP/1.1 https [localhost] GET",
        "{}",
        trusting.log()
    );
    // The certificate is for the name.
    assert_eq!(called(&trusting, &[("x-url", &by_address)]), "result -9");
    let wary = gateway(&authority, &nginx, &stranger);
    assert_eq!(called(&wary, &[("x-url", &named)]), "result -9");
}
