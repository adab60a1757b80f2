//! Which target gets a request: weights, hashes, measured times, slow starts, cookies, tiers and panic.

mod hash;
mod latency;
mod slow_start;
mod sticky;
mod tiers;
mod under_way;
mod weights;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swapgate_tests::{Client, Response, Upstream, eventually};

/// A target that says which one it is, is well or not when it is asked, and may be slow.
struct Target {
    upstream: Upstream,
    well: Arc<AtomicBool>,
}

impl Target {
    fn start(number: usize) -> Self {
        Self::slow(number, Duration::ZERO)
    }

    /// One that takes a while for each answer.
    fn slow(number: usize, time: Duration) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&well);
        let upstream = Upstream::answering(move |request| {
            let checked = request.target == "/healthz";
            let status = match checked && !asked.load(Ordering::SeqCst) {
                true => "503 Service Unavailable",
                false => "200 OK",
            };
            if !checked && !time.is_zero() {
                // Not to wait for something: this is what a slow server does.
                std::thread::sleep(time);
            }
            format!("HTTP/1.1 {status}\r\nx-target: {number}\r\ncontent-length: 0\r\n\r\n").into()
        });
        Self { upstream, well }
    }

    fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.upstream.address()
    }
}

/// Ends a target, and waits until it takes no connections any more.
#[track_caller]
fn die(target: Target) {
    let address = target.address();
    drop(target);
    eventually!(Client::try_connect(address).is_err());
}

/// So many of them, numbered from 0.
fn targets(count: usize) -> Vec<Target> {
    (0..count).map(Target::start).collect()
}

/// The entries of some targets in a configuration.
fn entries<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let entry = |target: &Target| format!("{{address: \"{}\"}}", target.address());
    let entries: Vec<_> = targets.into_iter().map(entry).collect();
    entries.join(", ")
}

/// A configuration with one upstream for every request.
fn text(keys: &str, entries: &str) -> String {
    format!(
        "\
workers: 2
upstreams: [{{name: up, {keys}, targets: [{entries}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    )
}

/// The number of the target that answered.
#[track_caller]
fn target_of(response: &Response) -> usize {
    assert_eq!(response.status, 200, "{response:?}");
    let number = response.header("x-target").expect("a target answered");
    number.parse().expect("a number")
}

/// Asks with further fields, each with its line end.
#[track_caller]
fn ask(client: &mut Client, path: &str, fields: &str) -> Response {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    client.expect_response()
}

/// How many of so many requests each target got, on a few connections in turn.
#[track_caller]
fn counts(address: SocketAddr, requests: usize) -> BTreeMap<usize, usize> {
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(address)).collect();
    let mut counts = BTreeMap::new();
    for number in 0..requests {
        let client = &mut clients[number % 8];
        *counts.entry(target_of(&client.get("/"))).or_default() += 1;
    }
    counts
}
