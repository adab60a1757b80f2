//! What plugins see.

use std::process::Command;

use swapgate_abi::{
    SG_ATTR_LISTENER, SG_ATTR_PROTOCOL, SG_ATTR_PROXY_DESTINATION, SG_ATTR_SCHEME,
    SG_ATTR_TLS_ALPN, SG_ATTR_TLS_CIPHER, SG_ATTR_TLS_CLIENT_CERTIFICATE,
    SG_ATTR_TLS_CLIENT_FINGERPRINT, SG_ATTR_TLS_CLIENT_ISSUER, SG_ATTR_TLS_CLIENT_NAMES,
    SG_ATTR_TLS_CLIENT_SERIAL, SG_ATTR_TLS_CLIENT_SUBJECT, SG_ATTR_TLS_SNI, SG_ATTR_TLS_VERSION,
};
use swapgate_tests::{Certificates, Curl, Running};

use super::{Told, World, ask, quoted};

/// A listener with TLS that asks for certificates of clients.
fn secure(certificates: &Certificates, mode: &str) -> World {
    let pair = certificates.server(&["a.example"]);
    let clients = match mode {
        "" => String::new(),
        mode => format!(
            ", client_certificates: {{mode: {mode}, ca: {}}}",
            quoted(&certificates.ca())
        ),
    };
    let listener = format!(
        "{{name: secure, address: \"127.0.0.1:0\", proxy_protocol: optional, tls: {{certificates: [{}]{clients}}}}}",
        pair.entry()
    );
    World::with(&listener, "trusted_addresses: [127.0.0.1]")
}

/// curl on its way to the listener with TLS.
fn curl(world: &World, certificates: &Certificates) -> Curl {
    let port = world.address().port();
    Curl::with(&["--cacert"])
        .argument(certificates.ca())
        .argument("--resolve")
        .argument(format!("a.example:{port}:127.0.0.1"))
        .argument(format!("https://a.example:{port}/"))
}

/// Everything of TLS that plugins do not see.
#[track_caller]
fn nothing_of_tls(told: &Told, from: u32, to: u32) {
    for attr in from..=to {
        assert_eq!(told.attribute(attr), None, "{attr}: {told:?}");
    }
}

#[test]
fn a_plain_connection_has_a_protocol_and_a_listener() {
    let world = World::with("{name: public, address: \"127.0.0.1:0\"}", "");
    let mut client = world.gateway.client();
    let local = client.local_address().to_string();
    let told = ask(&mut client);
    told.is_of(&local, &world.address().to_string());
    assert_eq!(told.attribute(SG_ATTR_PROTOCOL), Some("HTTP/1.1"));
    assert_eq!(told.attribute(SG_ATTR_LISTENER), Some("public"));
    assert_eq!(told.attribute(SG_ATTR_SCHEME), Some("http"));
    nothing_of_tls(&told, SG_ATTR_TLS_VERSION, SG_ATTR_PROXY_DESTINATION);

    let old = world
        .gateway
        .client()
        .send("GET / HTTP/1.0\r\nHost: test\r\n\r\n")
        .expect_response();
    let told = Told::of(&old.body);
    assert_eq!(told.attribute(SG_ATTR_PROTOCOL), Some("HTTP/1.0"));

    let url = format!("http://{}/", world.address());
    let answer = Curl::with(&["--http2-prior-knowledge", &url]).success();
    let told = Told::of(&answer.body);
    assert_eq!(told.attribute(SG_ATTR_PROTOCOL), Some("HTTP/2"));
    assert_eq!(told.attribute(SG_ATTR_SCHEME), Some("http"));
}

#[test]
fn a_connection_with_tls_says_what_it_came_to() {
    let certificates = Certificates::new();
    let world = secure(&certificates, "");
    for (argument, protocol, alpn) in [
        ("--http1.1", "HTTP/1.1", "http/1.1"),
        ("--http2", "HTTP/2", "h2"),
    ] {
        let answer = curl(&world, &certificates).argument(argument).success();
        let told = Told::of(&answer.body);
        assert_eq!(told.attribute(SG_ATTR_PROTOCOL), Some(protocol));
        assert_eq!(told.attribute(SG_ATTR_LISTENER), Some("secure"));
        assert_eq!(told.attribute(SG_ATTR_SCHEME), Some("https"));
        assert_eq!(told.attribute(SG_ATTR_TLS_VERSION), Some("TLSv1.3"));
        assert_eq!(told.attribute(SG_ATTR_TLS_SNI), Some("a.example"));
        assert_eq!(told.attribute(SG_ATTR_TLS_ALPN), Some(alpn));
        assert_eq!(told.header("x-forwarded-proto"), Some("https"));
        nothing_of_tls(&told, SG_ATTR_TLS_CLIENT_SUBJECT, SG_ATTR_PROXY_DESTINATION);
    }
    let answer = curl(&world, &certificates)
        .arguments(&["--tls-max", "1.2", "--no-alpn"])
        .arguments(&["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"])
        .success();
    let told = Told::of(&answer.body);
    assert_eq!(told.attribute(SG_ATTR_TLS_VERSION), Some("TLSv1.2"));
    let cipher = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    assert_eq!(told.attribute(SG_ATTR_TLS_CIPHER), Some(cipher));
    assert_eq!(told.attribute(SG_ATTR_TLS_ALPN), None);
    // An address is no name that could be asked for.
    let url = format!("https://{}/", world.address());
    let answer = Curl::with(&["--insecure", &url]).success();
    assert_eq!(Told::of(&answer.body).attribute(SG_ATTR_TLS_SNI), None);
}

#[test]
fn the_certificate_of_a_client_is_seen_whole() {
    let certificates = Certificates::new();
    let world = secure(&certificates, "optional");
    let answer = curl(&world, &certificates).success();
    let told = Told::of(&answer.body);
    nothing_of_tls(&told, SG_ATTR_TLS_CLIENT_SUBJECT, SG_ATTR_PROXY_DESTINATION);

    let pair = certificates.client("alice", &["a.example", "192.0.2.1"]);
    let answer = curl(&world, &certificates)
        .argument("--cert")
        .argument(&pair.certificate)
        .argument("--key")
        .argument(&pair.key)
        .argument("--haproxy-protocol")
        .success();
    let told = Told::of(&answer.body);
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let file = pair.certificate.display().to_string();
        command
            .args(["x509", "-noout", "-in", &file])
            .args(arguments);
        let finished = Running::start(&mut command).finish().success();
        let text = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
        let (_, value) = text.split_once('=').expect("a name and a value");
        value.replace(':', "").to_ascii_lowercase()
    };
    let seen = |attr: u32| {
        told.attribute(attr)
            .expect("a certificate")
            .to_ascii_lowercase()
    };
    assert_eq!(seen(SG_ATTR_TLS_CLIENT_SERIAL), openssl(&["-serial"]));
    let fingerprint = openssl(&["-fingerprint", "-sha256"]);
    assert_eq!(seen(SG_ATTR_TLS_CLIENT_FINGERPRINT), fingerprint);
    assert_eq!(told.attribute(SG_ATTR_TLS_CLIENT_SUBJECT), Some("CN=alice"));
    let issuer = "CN=test authority";
    assert_eq!(told.attribute(SG_ATTR_TLS_CLIENT_ISSUER), Some(issuer));
    let names = told.attribute(SG_ATTR_TLS_CLIENT_NAMES).expect("names");
    assert!(names.contains("DNS:a.example|IP:192.0.2.1"), "{names}");
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-outform", "DER", "-in"])
        .arg(&pair.certificate);
    let der = Running::start(&mut command).finish().success().stdout;
    let der: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen(SG_ATTR_TLS_CLIENT_CERTIFICATE), der);
    // A PROXY header stood before all that.
    assert!(told.proxied().is_some(), "{told:?}");
}
