//! Towards targets: HTTP/2, TLS and Unix sockets, before a real nginx.

mod http2;
mod reloads;
mod scripted;
mod tls;
mod unix;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Nginx};

/// What an nginx says of a request: protocol, scheme, name asked for in TLS, host.
const ECHO: &str = "location /echo { return 200 \"$server_protocol $scheme [$ssl_server_name] $http_host$host\"; }";

/// A gateway with one worker and one route for everything to one upstream, which is spoken to as `manner` says.
fn before(address: &str, manner: &str) -> Builder {
    Gateway::with(&text(manner)).set("up", address)
}

fn text(manner: &str) -> String {
    format!(
        "\
workers: 1
limits: {{body_bytes: 256MiB}}
upstreams: [{{name: up, {manner}, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    )
}

/// An nginx that says what it was asked, and a gateway before it.
fn echo(block: &str, manner: &str) -> (Nginx, Gateway) {
    let nginx = Nginx::server(&format!("{block} {ECHO}"));
    let gateway = before(&nginx.address().to_string(), manner).start();
    (nginx, gateway)
}
