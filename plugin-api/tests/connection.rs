//! What a plugin sees of the connection, through its typed handles.

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::testing::{self, ClientCertificate, Exchange, Host};
use swapgate_plugin::{Access, AccessCall, ConfigError, Error, Flow, Plugin, Response};

#[derive(Debug, Deserialize, JsonSchema)]
struct Config {}

/// Tells what it sees.
struct Teller;

impl Plugin for Teller {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Access for Teller {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        let connection = request.connection();
        let tls = connection.tls().map(|tls| {
            let agreed = (tls.sni(), tls.alpn());
            format!("{} {} {agreed:?}", tls.version(), tls.cipher())
        });
        let client = connection.client_certificate().map(|client| {
            let names: Vec<_> = client.names().collect();
            let (subject, der) = (client.subject(), client.der());
            format!("{subject} {names:?} {der:?}")
        });
        let text = format!(
            "{} {} {} {tls:?} {client:?} {:?} {:?} {}",
            request.scheme(),
            connection.protocol(),
            connection.listener(),
            connection.proxy_source(),
            connection.proxy_destination(),
            request.peer_address(),
        );
        Ok(request.respond(&Response::new(200).body(text))?)
    }
}

swapgate_plugin::export!(Teller, id = "teller");

#[track_caller]
fn check(exchange: Exchange, expected: &str) {
    let host = Host::of::<Teller>();
    let instance = host.configure("{}").expect("it needs nothing");
    let outcome = instance.run(exchange);
    assert_eq!(outcome.failures(), []);
    assert_eq!(String::from_utf8_lossy(outcome.body()), expected);
}

#[test]
fn a_plain_connection() {
    check(
        Exchange::new(),
        "http HTTP/1.1 test None None None None 192.0.2.1:50000",
    );
}

#[test]
fn a_connection_with_everything() {
    let certificate = ClientCertificate {
        subject: "CN=alice".to_owned(),
        names: "DNS:a.example\nURI:spiffe://a/b".to_owned(),
        der: vec![0x30, 0xff],
        ..ClientCertificate::default()
    };
    let exchange = Exchange::new()
        .protocol("HTTP/2")
        .listener("secure")
        .with_tls(testing::Tls::sni("a.example"))
        .with_client_certificate(certificate)
        .with_proxy("203.0.113.7:4000", "[2001:db8::1]:443");
    check(
        exchange,
        "https HTTP/2 secure Some(\"TLSv1.3 TLS_AES_256_GCM_SHA384 (Some(\\\"a.example\\\"), None)\") \
         Some(\"CN=alice [(\\\"DNS\\\", \\\"a.example\\\"), (\\\"URI\\\", \\\"spiffe://a/b\\\")] [48, 255]\") \
         Some(\"203.0.113.7:4000\") Some(\"[2001:db8::1]:443\") 203.0.113.7:4000",
    );
}
