//! The scheme of a target in absolute form (RFC 9112, 3.2.2), which has to be that of the connection (RFC 9110, 7.4).

use swapgate_tests::{Certificates, Gateway, SecureConfig, Upstream};

use crate::stage::CONFIGURATION;

#[test]
fn with_tls_it_is_https() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.test"]);
    let upstream = Upstream::echo();
    let text = format!(
        "format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\", tls: {{certificates: [{}]}}}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
{CONFIGURATION}",
        pair.entry()
    );
    let gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .start();
    let client = SecureConfig::new(&certificates.ca(), None);
    let asks = |target: &str| {
        let mut connection = client.connect(gateway.address(), "a.test").unwrap();
        connection.get("a.test", target).unwrap().status
    };
    assert_eq!(asks("https://a.test/p"), 200);
    let arrived = upstream.take_requests();
    assert_eq!(arrived[0].target, "/p");
    assert_eq!(
        arrived[0].headers.get("x-forwarded-proto").as_deref(),
        Some("https")
    );
    assert_eq!(asks("http://a.test/p"), 400);
    assert_eq!(upstream.requests(), []);
}

/// Behind what ends TLS and passes the bytes on, clients write the scheme that they see.
#[test]
fn https_without_tls_is_for_those_who_are_trusted() {
    let upstream = Upstream::echo();
    let text = format!("trusted_addresses: [127.0.0.1]\n{CONFIGURATION}");
    let gateway = Gateway::with(&text).set("up", upstream.address()).start();
    for (said, told) in [("https", "https"), ("http", "http")] {
        let request = format!("GET {said}://a.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = gateway.client().send(request).expect_response();
        assert_eq!(answer.status, 200, "{said}");
        let arrived = upstream.take_requests().swap_remove(0);
        let proto = arrived.headers.get("x-forwarded-proto");
        assert_eq!(proto.as_deref(), Some(told));
    }
}
