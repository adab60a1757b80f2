//! Requests that are split between upstreams, and copies of requests.

mod bounds;
mod bystander;
mod copies;
mod split;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Received, Response, Upstream};

/// A gateway with one worker that copies requests for one upstream to another, which has only this address.
fn mirrored(
    primary: &Upstream,
    shadow: std::net::SocketAddr,
    route: &str,
    mirror: &str,
) -> Builder {
    Gateway::with(&config(route, mirror))
        .set("up", primary.address())
        .set("shadow", shadow)
}

fn config(route: &str, mirror: &str) -> String {
    format!(
        "\
workers: 1
upstreams:
  - {{name: up, targets: [{{address: \"@up@\"}}]}}
  - {{name: shadow, targets: [{{address: \"@shadow@\"}}]}}
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s, {route}mirror: {{upstream: shadow{mirror}}}}}]
"
    )
}

/// The series of an outcome of copies.
fn series(outcome: &str) -> String {
    format!("swapgate_mirrored_total{{upstream=\"shadow\",outcome=\"{outcome}\"}}")
}

/// How many copies came to an outcome.
#[track_caller]
fn count(gateway: &Gateway, outcome: &str) -> u64 {
    let value = gateway.metrics().value(&series(outcome));
    let value = value.expect("the series is shown").to_string();
    value.parse().expect("a whole number")
}

/// How many copies came to anything.
#[track_caller]
fn counted(gateway: &Gateway) -> u64 {
    let outcomes = [
        "sent",
        "dropped_limit",
        "dropped_body",
        "dropped_breaker",
        "failed",
    ];
    outcomes.iter().map(|outcome| count(gateway, outcome)).sum()
}

/// A POST with this body and its length.
fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends bytes on a connection of their own and reads the answer.
#[track_caller]
fn ask(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Response {
    let mut client = gateway.client();
    client.send(bytes);
    client.expect_response()
}

/// Line, headers and body.
type Told = (String, Vec<(String, Vec<u8>)>, Vec<u8>);

/// All of a request but for `Host` and the connection it came on.
fn told(request: &Received) -> Told {
    let headers = request.headers.0.iter();
    let headers = headers
        .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
        .map(|(name, value)| (name.clone(), value.clone()));
    (request.line(), headers.collect(), request.body.clone())
}
