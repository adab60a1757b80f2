//! What the cases share: plugins compiled from one C file, and a gateway that has them on its one route.

use std::fs;

use swapgate_tests::{Client, Gateway, Received, Response, Upstream, artifacts};

/// What a plugin needs of bodies, and what it does with them.
#[derive(Clone, Copy)]
pub(crate) struct Plugin {
    pub(crate) id: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) request: u32,
    pub(crate) response: u32,
    /// Bytes it keeps at most; 0: as the route says.
    pub(crate) keep: u64,
    pub(crate) priority: i32,
    /// Whether it has no hooks but those of bodies.
    pub(crate) bodies_only: bool,
    /// More of its use.
    pub(crate) use_: &'static str,
}

pub(crate) const NONE: u32 = 0;
pub(crate) const OBSERVE: u32 = 1;
pub(crate) const TRANSFORM: u32 = 2;
pub(crate) const BUFFER: u32 = 3;

/// A plugin of this mode, with what it needs of request and answer.
pub(crate) fn plugin(mode: &'static str, request: u32, response: u32) -> Plugin {
    Plugin {
        id: "body-test",
        mode,
        request,
        response,
        keep: 0,
        priority: 100,
        bodies_only: false,
        use_: "",
    }
}

impl Plugin {
    fn compile(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.so");
        let define = [
            format!("-DID=\"{}\"", self.id),
            format!("-DREQUEST={}", self.request),
            format!("-DRESPONSE={}", self.response),
            format!("-DKEEP={}", self.keep),
            format!("-DPRIORITY={}", self.priority),
        ];
        let mut define: Vec<&str> = define.iter().map(String::as_str).collect();
        if self.bodies_only {
            define.push("-DBODIES_ONLY");
        }
        let source = artifacts::root().join("tests/tests/bodies/plugin.c");
        artifacts::c_plugin(&source, &file, &define);
        fs::read(file).unwrap()
    }
}

/// A gateway with these plugins before an upstream. `limit` is that of request bodies.
pub(crate) fn gateway(upstream: &Upstream, limit: &str, plugins: &[Plugin]) -> Gateway {
    gateway_with(upstream, limit, ["", ""], plugins)
}

/// The same with more settings, and more of the service.
pub(crate) fn gateway_with(
    upstream: &Upstream,
    limit: &str,
    more: [&str; 2],
    plugins: &[Plugin],
) -> Gateway {
    let text = text(limit, more, plugins);
    let mut builder = Gateway::with(&text).set("up", upstream.address());
    for one in plugins {
        builder = builder.plugin_bytes(&format!("lib{}.so", one.id), &one.compile());
    }
    builder.start()
}

/// Its configuration.
pub(crate) fn text(limit: &str, [settings, service]: [&str; 2], plugins: &[Plugin]) -> String {
    let uses: Vec<String> = plugins
        .iter()
        .map(|one| {
            let Plugin { id, mode, use_, .. } = one;
            format!("{{name: {id}, config: {{mode: {mode}}}{use_}}}")
        })
        .collect();
    let uses = uses.join(", ");
    format!(
        "\
workers: 1
{settings}
limits: {{body_bytes: {limit}}}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: s, upstream: up{service}}}]
routes:
  - {{name: fixed, paths: [/fixed], respond: {{status: 200, body: \"a secret here\"}}, plugins: [{uses}]}}
  - {{name: all, service: s, plugins: [{uses}]}}
"
    )
}

/// An upstream that answers everything with these bytes.
pub(crate) fn says(answer: impl Into<Vec<u8>>) -> Upstream {
    Upstream::fixed(answer)
}

/// A sized answer with this body.
pub(crate) fn sized(more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\n{more}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The same in chunks of this many bytes.
pub(crate) fn chunks(body: &str, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.as_bytes().chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

pub(crate) fn chunked(more: &str, body: &str, size: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{more}transfer-encoding: chunked\r\n\r\n");
    [head.into_bytes(), chunks(body, size)].concat()
}

/// A request in one piece.
pub(crate) fn post(client: &mut Client, more: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!("POST /x HTTP/1.1\r\nHost: t\r\n{more}Content-Length: {length}\r\n\r\n");
    client.send(head + body).expect_response()
}

/// Waits for a count of the plugin.
#[track_caller]
pub(crate) fn counted(gateway: &Gateway, name: &str, expected: f64) {
    gateway.wait_for_metric(&series(name), expected);
}

/// What a count stands at.
pub(crate) fn count(gateway: &Gateway, name: &str) -> f64 {
    gateway.metrics().value(&series(name)).unwrap_or(0.0)
}

fn series(name: &str) -> String {
    format!("swapgate_plugin_body_test_{name}_total")
}

/// Nothing that the plugin tried was answered otherwise than the contract says.
#[track_caller]
pub(crate) fn as_the_contract_says(gateway: &Gateway) {
    assert_eq!(count(gateway, "odd"), 0.0);
}

/// A request as the upstream got it.
#[track_caller]
pub(crate) fn nth(upstream: &Upstream, at: usize) -> Received {
    let mut requests = upstream.requests();
    assert!(at < requests.len(), "{requests:?}");
    requests.swap_remove(at)
}
