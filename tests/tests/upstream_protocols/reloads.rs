//! Connections and reloads: what stays the same keeps them, what changes never shares them.

use swapgate_tests::load::Load;
use swapgate_tests::{Certificates, Gateway, Nginx};

use super::{ECHO, before, text};

fn connects(gateway: &Gateway, nginx: &Nginx) -> f64 {
    let series = format!(
        "swapgate_upstream_connects_total{{target=\"{}\"}}",
        nginx.address()
    );
    gateway.metrics().value(&series).unwrap_or_default()
}

#[test]
fn tls_settings_change_under_load_without_a_failure() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1", "users.internal"]);
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl http2; ssl_certificate {}; ssl_certificate_key {}; {ECHO}",
        pair.certificate.display(),
        pair.key.display()
    ));
    let ca = authority.ca().display().to_string();
    let manners = [
        format!("protocol: h2, tls: {{ca: {ca}}}"),
        format!("tls: {{ca: {ca}}}"),
        format!("protocol: auto, tls: {{ca: {ca}, server_name: users.internal}}"),
        "protocol: h2, tls: {verify: false}".to_owned(),
    ];
    let gateway = before(&nginx.address().to_string(), &manners[0]).start();
    let load = Load::start(
        gateway.address(),
        20,
        "GET /echo HTTP/1.1\r\nhost: a.test\r\n\r\n",
        |answer| match answer.status {
            200 => Ok(()),
            other => Err(format!("{other}: {}", answer.text())),
        },
    );
    for round in 0..20 {
        load.wait_for_more(50);
        gateway.reload_published(&text(&manners[(round + 1) % manners.len()]));
    }
    load.stop_without_failure();
}

#[test]
fn a_reload_that_changes_nothing_there_keeps_connections() {
    let nginx = Nginx::server(&format!("listen @address@ http2; {ECHO}"));
    let gateway = before(&nginx.address().to_string(), "protocol: h2").start();
    assert_eq!(gateway.get("/echo").status, 200);
    gateway.reload_published(&format!("{}via: other\n", text("protocol: h2")));
    assert_eq!(gateway.get("/echo").status, 200);
    assert_eq!(connects(&gateway, &nginx), 1.0);
}

/// One address, and every way to speak to it: none may serve a request of another one.
#[test]
fn upstreams_of_one_address_share_no_connection_that_differs() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1", "a.internal", "b.internal"]);
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl http2; ssl_certificate {}; ssl_certificate_key {}; {ECHO}",
        pair.certificate.display(),
        pair.key.display()
    ));
    let ca = authority.ca().display().to_string();
    let manners = [
        (
            "a",
            format!("protocol: h2, tls: {{ca: {ca}, server_name: a.internal}}"),
            "HTTP/2.0 https [a.internal]",
        ),
        (
            "b",
            format!("protocol: h2, tls: {{ca: {ca}, server_name: b.internal}}"),
            "HTTP/2.0 https [b.internal]",
        ),
        (
            "c",
            format!("tls: {{ca: {ca}, server_name: b.internal}}"),
            "HTTP/1.1 https [b.internal]",
        ),
        (
            "d",
            "protocol: h2, tls: {verify: false}".to_owned(),
            "HTTP/2.0 https []",
        ),
    ];
    let mut upstreams = String::from("workers: 1\nupstreams:\n");
    let mut services = String::from("services:\n");
    let mut routes = String::from("routes:\n");
    for (name, manner, _) in &manners {
        upstreams += &format!("  - {{name: {name}, {manner}, targets: [{{address: \"@up@\"}}]}}\n");
        services += &format!("  - {{name: {name}, upstream: {name}}}\n");
        routes +=
            &format!("  - {{name: {name}, service: {name}, paths: [/{name}], strip_path: true}}\n");
    }
    let gateway = Gateway::with(&[upstreams, services, routes].concat())
        .set("up", nginx.address())
        .start();
    for _ in 0..3 {
        for (name, _, expected) in &manners {
            let answer = gateway.get(&format!("/{name}/echo"));
            assert!(
                answer.text().starts_with(expected),
                "{name}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(connects(&gateway, &nginx), 4.0);
}

/// The files of a client certificate are written anew: the next connection shows the new one.
#[test]
fn a_new_client_certificate_is_shown_without_a_reload_of_the_configuration() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let client = authority.client("gateway", &[]);
    let ca = authority.ca().display().to_string();
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl http2; ssl_certificate {}; ssl_certificate_key {};
        ssl_verify_client on; ssl_client_certificate {ca};
        location /who {{ return 200 $ssl_client_fingerprint; }}",
        pair.certificate.display(),
        pair.key.display()
    ));
    let manner = format!(
        "protocol: h2, tls: {{ca: {ca}, certificate: {}, key: {}}}",
        client.certificate.display(),
        client.key.display()
    );
    let gateway = before(&nginx.address().to_string(), &manner).start();
    let load = Load::start(
        gateway.address(),
        8,
        "GET /who HTTP/1.1\r\nhost: a.test\r\n\r\n",
        |answer| match answer.status {
            200 => Ok(()),
            other => Err(format!("{other}: {}", answer.text())),
        },
    );
    let mut before = gateway.get("/who").text();
    for _ in 0..3 {
        let _ = authority.client("gateway", &[]);
        swapgate_tests::wait_until("the new certificate to be shown", || {
            gateway.get("/who").text() != before
        });
        before = gateway.get("/who").text();
    }
    load.stop_without_failure();
}

/// An exchange may hold what served before for hours; connections that it does not use must not stay with it.
#[test]
fn unused_connections_end_with_what_they_were_opened_for() {
    let nginx = Nginx::server(&format!(
        "listen @address@; location /slow/ {{ alias @folder@/; limit_rate_after 2k; limit_rate 100; }} {ECHO}"
    ));
    std::fs::write(nginx.folder().join("long"), [b'x'; 65536]).expect("a file");
    let gateway = before(&nginx.address().to_string(), "algorithm: round-robin").start();
    let mut slow = gateway.client();
    slow.send("GET /slow/long HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let head = slow.read_head().expect("an answer begins");
    assert!(head.starts_with(b"HTTP/1.1 200"));
    let open = || {
        let series = format!(
            "swapgate_upstream_connections{{target=\"{}\"}}",
            nginx.address()
        );
        gateway.metrics().value(&series).unwrap_or_default()
    };
    assert_eq!(gateway.get("/echo").status, 200);
    assert_eq!(open(), 2.0, "one is used and one is kept");
    gateway.reload_published(&text("protocol: h2"));
    swapgate_tests::wait_until("the unused connection to end", || open() == 1.0);
    slow.read_exact(1).expect("the answer goes on");
}
