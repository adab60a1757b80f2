//! Reloads: however the file changes, either all of it is published or nothing changes and every place is told; and no client
//! notices more than the change itself.

mod entities;
mod files;
mod instances;
mod limits;
mod listeners;
mod refusals;
mod soak;

use swapgate_tests::{Load, Response};

/// The simplest request.
const GET: &str = "GET /stay HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Clients that send [`GET`] over and over, and want 200 and this body.
fn load(gateway: &swapgate_tests::Gateway, clients: usize, body: &'static str) -> Load {
    Load::start(
        gateway.address(),
        clients,
        GET,
        move |answer: &Response| match answer.status {
            200 if answer.body == body.as_bytes() => Ok(()),
            _ => Err(format!("not 200 with {body}")),
        },
    )
}

/// An upstream that answers everything with its name.
fn named(name: &str) -> swapgate_tests::Upstream {
    let length = name.len();
    swapgate_tests::Upstream::fixed(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}"
    ))
}

/// One upstream, `a`, behind everything below `/stay`; further routes stand at the end.
const STAY: &str = "\
workers: 2
upstreams: [{name: a, targets: [{address: \"@a@\"}]}]
services: [{name: a, upstream: a}]
routes:
  - {name: stay, service: a, paths: [/stay]}
";
