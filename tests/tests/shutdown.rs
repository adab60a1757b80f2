//! The end: running exchanges finish, idle connections close, nobody new comes in, and no signal at a bad moment does harm.

#[path = "shutdown/drain.rs"]
mod drain;
#[path = "shutdown/moments.rs"]
mod moments;
#[path = "shutdown/progress.rs"]
mod progress;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gate, Gateway, Upstream};

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// An upstream that answers `/slow` when the gate opens, and everything else at once.
fn slow(gate: &Gate) -> Upstream {
    let held = gate.clone();
    Upstream::answering(move |request| {
        if request.target == "/slow" {
            held.pass();
        }
        request.to_answer()
    })
}

fn before(upstream: &Upstream, settings: &str) -> Builder {
    Gateway::with(&format!(
        "\
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    ))
    .set("up", upstream.address())
}
