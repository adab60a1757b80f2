//! Hooks that wait: lanes stand still and go on, other threads wake them, and whoever is not waited for any more is told.
//!
//! The plugin is `waiter.c`, compiled here: `x-do` of a request says how it waits.

mod ends;
mod upstreams;
mod waits;

use std::fs;

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Client, Gateway, Response, Upstream, artifacts};

/// The plugin, with parts replaced.
fn waiter(flags: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("libwaiter.so");
    let source = artifacts::root().join("tests/tests/waiting/waiter.c");
    let flags: Vec<&str> = flags.iter().chain(&["-pthread"]).copied().collect();
    artifacts::c_plugin(&source, &file, &flags);
    fs::read(&file).expect("it was compiled")
}

/// A gateway with one worker before an upstream, and the plugin on its one route.
fn prepared(upstream: &Upstream, settings: &str, usage: &str) -> Builder {
    Gateway::with(&format!(
        "\
workers: 1
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, plugins: [{{name: waiter{usage}}}]}}]
"
    ))
    .set("up", upstream.address())
}

fn started(upstream: &Upstream, settings: &str) -> Gateway {
    prepared(upstream, settings, "")
        .plugin_bytes("libwaiter.so", &waiter(&[]))
        .start()
}

/// A request that has the plugin do this.
fn request(what: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\nx-do: {what}\r\n\r\n")
}

#[track_caller]
fn ask(gateway: &Gateway, what: &str) -> Response {
    gateway.client().send(request(what)).expect_response()
}

/// A request that is sent and not answered yet.
#[track_caller]
fn sent(gateway: &Gateway, what: &str) -> Client {
    let mut client = gateway.client();
    client.send(request(what));
    client
}

/// A header of the request as the echo upstream saw it.
#[track_caller]
fn seen(answer: &Response, name: &str) -> Option<String> {
    let body = answer.json();
    let headers = body["headers"].as_array().expect("the echo's list");
    headers
        .iter()
        .find(|line| {
            line[0]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
        .and_then(|line| line[1].as_str().map(str::to_owned))
}

/// Waits until the plugin has counted so many events of a kind.
#[track_caller]
fn wait_for_events(gateway: &Gateway, kind: &str, count: f64) {
    let series = format!("swapgate_plugin_waiter_events_total{{kind=\"{kind}\"}}");
    gateway.wait_for_metric(&series, count);
}
