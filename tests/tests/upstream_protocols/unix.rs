//! Targets that are sockets in the file system.

use swapgate_tests::{Certificates, Nginx};

use super::{ECHO, before};

/// What a target at a Unix socket says of a request.
#[track_caller]
fn check(listen: &str, more: &str, manner: &str, expected: &str) {
    let nginx = Nginx::server(&format!(
        "listen unix:@folder@/up.sock {listen}; {more} {ECHO}"
    ));
    let address = format!("unix:{}", nginx.folder().join("up.sock").display());
    let gateway = before(&address, manner).start();
    for _ in 0..3 {
        let answer = gateway.get("/echo");
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), gateway.log());
        assert!(answer.text().starts_with(expected), "{}", answer.text());
    }
    let series = format!("swapgate_upstream_connects_total{{target=\"{address}\"}}");
    assert_eq!(gateway.metrics().value(&series), Some(1.0));
}

#[test]
fn they_are_spoken_to_as_others_are() {
    check(
        "",
        "",
        "algorithm: round-robin",
        "HTTP/1.1 http [] localhost",
    );
    check("http2", "", "protocol: h2", "HTTP/2.0 http [] localhost");
    let authority = Certificates::new();
    let pair = authority.server(&["localhost"]);
    let ssl = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        pair.certificate.display(),
        pair.key.display()
    );
    let tls = format!("protocol: auto, tls: {{ca: {}}}", authority.ca().display());
    check(
        "ssl http2",
        &ssl,
        &tls,
        "HTTP/2.0 https [localhost] localhost",
    );
    check("ssl", &ssl, &tls, "HTTP/1.1 https [localhost] localhost");
}

#[test]
fn one_that_is_not_there_is_named() {
    let gateway = before("unix:/nowhere/up.sock", "algorithm: round-robin").start();
    assert_eq!(gateway.get("/").status, 502);
    gateway.wait_for_log("cannot connect to unix:/nowhere/up.sock");
}
