//! Requests that are sent again: after what, how often, and which never are.

mod bodies;
mod denied;
mod pauses;
mod sent_again;
mod total;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use swapgate_tests::gateway::Builder;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Gateway, Upstream, conversation::Conversation};

/// An answer that says who gave it.
const UNWELL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\n\r\nunwell";

/// A gateway with one worker and one route for everything to an upstream of two targets, which takes turns; `service` is
/// what its service says.
fn before(first: &Upstream, second: &Upstream, service: &str) -> Builder {
    between(first.address(), second.address(), ["", service])
}

/// The same with more of the upstream.
fn between(first: SocketAddr, second: SocketAddr, [upstream, service]: [&str; 2]) -> Builder {
    let targets = "{address: \"@first@\"}, {address: \"@second@\"}";
    with(targets, [upstream, service])
        .set("first", first)
        .set("second", second)
}

/// The same with one target.
fn alone(target: &Upstream, service: &str) -> Builder {
    alone_at(target.address(), service)
}

fn alone_at(target: SocketAddr, service: &str) -> Builder {
    with("{address: \"@target@\"}", ["", service]).set("target", target)
}

fn with(targets: &str, [upstream, service]: [&str; 2]) -> Builder {
    Gateway::with(&format!(
        "\
workers: 1
upstreams: [{{name: up, targets: [{targets}]{upstream}}}]
services: [{{name: up, upstream: up, {service}}}]
routes: [{{name: all, service: up}}]
"
    ))
}

/// An upstream that does something else with the requests of its first `bad` conversations, then answers what it got.
fn bad_at_first(
    bad: usize,
    does: impl Fn(&mut Conversation) -> Result<(), WireError> + Send + Sync + 'static,
) -> Upstream {
    let begun = AtomicUsize::new(0);
    Upstream::start(move |conversation| {
        if begun.fetch_add(1, Ordering::SeqCst) < bad {
            return does(conversation);
        }
        loop {
            let request = conversation.receive()?;
            conversation.send(request.to_answer())?;
        }
    })
}

/// Takes the request and closes.
fn closes(conversation: &mut Conversation) -> Result<(), WireError> {
    conversation.receive().map(drop)
}

/// Takes the request and resets the connection.
fn resets(conversation: &mut Conversation) -> Result<(), WireError> {
    conversation.receive()?;
    conversation.reset_at_end();
    Ok(())
}

/// Takes the request and says nothing.
fn hangs(conversation: &mut Conversation) -> Result<(), WireError> {
    conversation.receive()?;
    conversation.until_closed();
    Ok(())
}

/// Takes the request and answers something that is no answer.
fn babbles(conversation: &mut Conversation) -> Result<(), WireError> {
    conversation.receive()?;
    conversation.send("HTP/1.1 OK\r\n\r\n")
}

/// Takes requests and is unwell.
fn is_unwell(conversation: &mut Conversation) -> Result<(), WireError> {
    loop {
        conversation.receive()?;
        conversation.send(UNWELL)?;
    }
}

/// A request with a body of this text.
fn request(method: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// How many whole requests came to the two.
fn arrived(first: &Upstream, second: &Upstream) -> usize {
    first.requests().len() + second.requests().len()
}
