//! Connections that go wrong: clients that are slow, endless or gone, and upstreams that are dead, dying or silent.

#[path = "failure/clients.rs"]
mod clients;
#[path = "failure/connecting.rs"]
mod connecting;
#[path = "failure/upstreams.rs"]
mod upstreams;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Response, Upstream};

/// A gateway with one worker and one route for everything to one upstream; `settings` stand at the top level,
/// `timeouts` in the service.
fn before(upstream: &Upstream, settings: &str, timeouts: &str) -> Gateway {
    prepared(settings, timeouts)
        .set("up", upstream.address())
        .start()
}

fn prepared(settings: &str, timeouts: &str) -> Builder {
    Gateway::with(&format!(
        "\
workers: 1
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up, timeouts: {{{timeouts}}}}}]
routes: [{{name: all, service: up}}]
"
    ))
}

/// An answer of the gateway about its upstream: the status, and a body that says so without internals.
#[track_caller]
fn assert_problem(answer: &Response, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
    let text = answer.text();
    assert!(
        !text.contains("127.0.0.1"),
        "it names an inner address: {text}"
    );
}
