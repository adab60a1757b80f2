//! Requests with a body that are turned away before an upstream gets any of it: what is small is read away, and the
//! connection goes on; for what is large the client is told that it ends.

use std::fs;

use swapgate_tests::{Gateway, Upstream, artifacts};

/// Nobody else gets in while one is served.
fn gateway(upstream: &Upstream, plugins: &str) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugin.so");
    let source = artifacts::root().join("tests/tests/bodies/plugin.c");
    let define = [
        "-DID=\"body-test\"",
        "-DREQUEST=1",
        "-DRESPONSE=0",
        "-DKEEP=0",
        "-DPRIORITY=100",
    ];
    artifacts::c_plugin(&source, &file, &define);
    let text = format!(
        "\
workers: 1
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}], concurrency: {{requests: 1, queue: 0}}}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up{plugins}}}]
"
    );
    Gateway::with(&text)
        .set("up", upstream.address())
        .plugin_bytes("libbody-test.so", &fs::read(file).expect("it is there"))
        .start()
}

#[test]
fn a_body_that_nobody_takes_is_read_away_or_ends_the_connection() {
    let watches = ", plugins: [{name: body-test, config: {mode: watch}}]";
    for plugins in ["", watches] {
        let upstream = Upstream::start(|conversation| {
            conversation.receive()?;
            conversation.until_closed();
            Ok(())
        });
        let gateway = gateway(&upstream, plugins);
        let mut first = gateway.client();
        first.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        upstream.wait_for_requests(1);
        let mut client = gateway.client();
        for _ in 0..3 {
            client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n");
            client.send("x".repeat(10));
            let answer = client.expect_response();
            assert_eq!(answer.status, 503, "{plugins}: {answer:?}");
            assert_eq!(answer.header("connection"), None, "{plugins}");
            client.send("x".repeat(990));
        }
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nx");
        let answer = client.expect_response();
        assert_eq!(answer.status, 503, "{plugins}: {answer:?}");
        assert_eq!(
            answer.header("connection").as_deref(),
            Some("close"),
            "{plugins}"
        );
        client.expect_closed();
        assert_eq!(upstream.requests().len(), 1);
    }
}
