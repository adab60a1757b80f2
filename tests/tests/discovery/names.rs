//! What targets are called that a name led to: in `Host`, and in TLS.

use swapgate_tests::{Certificates, Dns, Gateway, Nginx};

use crate::{Row, text};

#[test]
fn a_target_is_called_by_its_name_where_the_clients_host_is_not_kept() {
    let row = Row::start(1);
    let dns = Dns::start(&[("users.test", "127.0.0.1")]);
    let targets = format!("targets: [{{address: \"users.test:{}\"}}]", row.port());
    let text =
        text(&dns, &targets).replace("service: users}", "service: users, preserve_host: false}");
    let gateway = Gateway::with(&text).start();
    let expected = format!("127.0.0.1 called users.test:{}", row.port());
    assert_eq!(gateway.get("/").text(), expected);
}

#[test]
fn the_certificate_has_to_be_for_the_name() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["users.test"]);
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl; ssl_certificate {}; ssl_certificate_key {};
         location / {{ return 200 \"$ssl_server_name $http_host\"; }}",
        pair.certificate.display(),
        pair.key.display()
    ));
    let dns = Dns::start(&[("users.test", "127.0.0.1"), ("others.test", "127.0.0.1")]);
    let port = nginx.address().port();
    let upstream = |name: &str| {
        format!(
            "{{name: {name}, tls: {{ca: \"{}\"}}, targets: [{{address: \"{name}.test:{port}\"}}]}}",
            certificates.ca().display()
        )
    };
    let gateway = Gateway::with(&format!(
        "workers: 1\n\
         dns: {{servers: [\"{}\"]}}\n\
         upstreams: [{}, {}]\n\
         services: [{{name: users, upstream: users}}, {{name: others, upstream: others}}]\n\
         routes:\n\
         - {{name: users, service: users, paths: [/users], preserve_host: false}}\n\
         - {{name: others, service: others, paths: [/others]}}\n",
        dns.address(),
        upstream("users"),
        upstream("others")
    ))
    .start();
    for _ in 0..2 {
        let good = gateway.get("/users");
        assert_eq!(good.text(), format!("users.test users.test:{port}"));
        // The same address, but whoever answers there cannot show that he is this one.
        assert_eq!(gateway.get("/others").status, 502);
    }
    assert!(gateway.log().contains("others.test"), "{}", gateway.log());
}
