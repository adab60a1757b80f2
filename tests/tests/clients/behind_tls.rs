//! TLS on both sides of the gateway, with real servers: their certificate is checked, and ours is shown to them.

use std::fs;

use serde_json::json;
use swapgate_tests::{Certificates, Nginx, Python};

use crate::world::{KEY_AUTH, NAME, WITH_KEY, Way, World};

const SERVER: &str = "server.example";

/// One route to one upstream that is spoken to in this way.
fn world(upstream: &str, address: std::net::SocketAddr, plugins: &str) -> World {
    let text = format!(
        "upstreams: [{{name: up, {upstream}, targets: [{{address: \"{address}\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, plugins: [{plugins}]}}]
"
    );
    World::with(&text).start()
}

/// What the gateway needs to believe a server of this authority.
fn believes(authority: &Certificates) -> String {
    let ca = authority.ca();
    format!("ca: \"{}\", server_name: {SERVER}", ca.display())
}

#[test]
fn nginx_speaks_http2_and_asks_for_our_certificate() {
    let authority = Certificates::new();
    let server = authority.server(&[SERVER]);
    let client = authority.client("gateway", &["gateway.example"]);
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl http2;
ssl_certificate {};
ssl_certificate_key {};
ssl_client_certificate {};
ssl_verify_client on;
location / {{
    add_header x-spoken \"$server_protocol $ssl_server_name $ssl_client_s_dn\";
}}",
        server.certificate.display(),
        server.key.display(),
        authority.ca().display()
    ));
    let body = "0123456789".repeat(100_000);
    fs::write(nginx.files().join("a.txt"), &body).unwrap();
    let tls = format!(
        "protocol: auto, tls: {{{}, certificate: \"{}\", key: \"{}\"}}",
        believes(&authority),
        client.certificate.display(),
        client.key.display()
    );
    let world = world(&tls, nginx.address(), KEY_AUTH);
    for way in Way::ALL {
        let answer = world.curl(way, "/a.txt", &["--header", WITH_KEY]).success();
        assert_eq!(answer.status(), 200, "{way:?}: {answer:?}");
        assert!(answer.text() == body, "{way:?}");
        let spoken = format!("HTTP/2.0 {SERVER} CN=gateway");
        assert_eq!(answer.values("x-spoken"), [spoken], "{way:?}");
    }
}

/// A server whose certificate is another authority's is not believed.
#[test]
fn a_strange_server_is_not_believed() {
    let (authority, other) = (Certificates::new(), Certificates::new());
    let server = other.server(&[SERVER]);
    let nginx = Nginx::server(&format!(
        "listen @address@ ssl; ssl_certificate {}; ssl_certificate_key {};",
        server.certificate.display(),
        server.key.display()
    ));
    let tls = format!("tls: {{{}}}", believes(&authority));
    let world = world(&tls, nginx.address(), "");
    let answer = world.curl(Way::Http11, "/", &[]).success();
    assert_eq!(answer.status(), 502, "{answer:?}");
}

#[test]
fn grpc_and_websockets_are_encrypted_on_both_sides() {
    let authority = Certificates::new();
    let pair = authority.server(&[SERVER]);
    let serve = |script: &str| {
        Python::script(script)
            .argument("--certificate")
            .argument(&pair.certificate)
            .argument("--key")
            .argument(&pair.key)
            .serve()
    };
    let calls = serve("grpc_server.py");
    let tls = format!("protocol: h2, tls: {{{}}}", believes(&authority));
    let before = world(&tls, calls.address(), KEY_AUTH);
    let client = crate::grpc::client(&before, Way::Http2Tls, &["kinds"]);
    let told = client
        .arguments(&["--metadata", "x-api-key=key-of-alice"])
        .run();
    assert_eq!(told.success().json()["join"], "a++c");

    let sockets = serve("websocket_server.py");
    let tls = format!("tls: {{{}}}", believes(&authority));
    let before = world(&tls, sockets.address(), KEY_AUTH);
    let told = Python::script("websocket_client.py")
        .argument(format!("wss://{}/count/2", before.address(Way::Http11Tls)))
        .arguments(&["rest", "--header", "x-api-key=key-of-alice"])
        .arguments(&["--name", NAME, "--ca"])
        .argument(before.certificates.ca())
        .run();
    let expected = json!({"messages": ["0", "1"], "code": 1000, "reason": ""});
    assert_eq!(told.success().json(), expected);
}
