//! Upstreams that share the requests of a route by weight.

use std::collections::BTreeMap;
use std::fs;

use swapgate_tests::unreachable::Refusing;
use swapgate_tests::{Client, Gateway, Upstream, artifacts};

fn config(workers: usize, split: &str, plugins: &str) -> String {
    format!(
        "\
workers: {workers}
upstreams:
  - {{name: own, targets: [{{address: \"@own@\"}}]}}
  - {{name: a, targets: [{{address: \"@a@\"}}]}}
  - {{name: b, targets: [{{address: \"@b@\"}}]}}
services: [{{name: s, upstream: own}}, {{name: other, upstream: b}}]
routes:
  - {{name: all, service: s, split: [{split}]{plugins}}}
"
    )
}

/// The upstreams: of the service, and the two that share its requests.
struct World {
    own: Upstream,
    a: Upstream,
    b: Upstream,
}

impl World {
    fn new() -> Self {
        Self {
            own: Upstream::echo(),
            a: Upstream::echo(),
            b: Upstream::echo(),
        }
    }

    fn before(&self, text: &str) -> swapgate_tests::gateway::Builder {
        Gateway::with(text)
            .set("own", self.own.address())
            .set("a", self.a.address())
            .set("b", self.b.address())
    }

    /// What each got since this was asked last.
    fn shares(&self) -> (usize, usize, usize) {
        let got = |upstream: &Upstream| upstream.take_requests().len();
        (got(&self.own), got(&self.a), got(&self.b))
    }
}

#[track_caller]
fn send(client: &mut Client, count: usize) {
    for _ in 0..count {
        assert_eq!(client.get("/").status, 200);
    }
}

const NINE: &str = "{upstream: a, weight: 90}, {upstream: b, weight: 10}";

#[test]
fn by_weight_exactly_within_a_worker() {
    let world = World::new();
    let gateway = world.before(&config(1, NINE, "")).start();
    send(&mut gateway.client(), 1_000);
    assert_eq!(world.shares(), (0, 900, 100));
    let attempts = |upstream: &str, at: &Upstream| {
        let target = at.address();
        let series = format!(
            "swapgate_upstream_attempts_total{{upstream=\"{upstream}\",target=\"{target}\",outcome=\"ok\"}}"
        );
        gateway.metrics().value(&series)
    };
    assert_eq!(attempts("a", &world.a), Some(900.0));
    assert_eq!(attempts("b", &world.b), Some(100.0));
    assert_eq!(attempts("own", &world.own), Some(0.0));
}

/// Every worker keeps the shares by itself: over both of them they differ by less than two turns.
#[test]
fn by_weight_over_both_workers() {
    let world = World::new();
    let gateway = world.before(&config(2, NINE, "")).start();
    let mut clients: Vec<Client> = (0..20).map(|_| gateway.client()).collect();
    for client in &mut clients {
        send(client, 50);
    }
    let (own, a, b) = world.shares();
    assert_eq!((own, a + b), (0, 1_000));
    assert!(a.abs_diff(900) <= 2, "{a}:{b}");
}

#[test]
fn a_weight_of_nothing_gets_nothing() {
    let world = World::new();
    let split = "{upstream: a, weight: 0}, {upstream: b, weight: 1}";
    let gateway = world.before(&config(1, split, "")).start();
    send(&mut gateway.client(), 20);
    assert_eq!(world.shares(), (0, 0, 20));
}

/// Of nine to one the tenth is the sixth in turn: a cycle that began anew with the reload would not reach it.
#[test]
fn a_reload_keeps_the_position_unless_the_shares_change() {
    let world = World::new();
    let text = config(1, NINE, "");
    let gateway = world.before(&text).start();
    let mut client = gateway.client();
    send(&mut client, 5);
    assert_eq!(world.shares(), (0, 5, 0));
    let before = text.replace("{name: other, upstream: b}", "{name: other, upstream: a}");
    // The route and its upstreams stand elsewhere in their lists from now on.
    let moved = before
        .replace(
            "routes:\n",
            "routes:\n  - {name: new, hosts: [new.test], service: s}\n",
        )
        .replace(
            "upstreams:\n",
            "upstreams:\n  - {name: new, targets: [{address: \"@own@\"}]}\n",
        );
    gateway.reload_published(&moved);
    send(&mut client, 5);
    assert_eq!(world.shares(), (0, 4, 1));
    let even = "{upstream: a, weight: 1}, {upstream: b, weight: 1}";
    gateway.reload_published(&moved.replace(NINE, even));
    send(&mut client, 100);
    assert_eq!(world.shares(), (0, 50, 50));
    gateway.reload_published(&moved.replace(&format!(", split: [{NINE}]"), ""));
    send(&mut client, 10);
    assert_eq!(world.shares(), (10, 0, 0), "as the service says again");
}

/// Whoever a plugin sends elsewhere takes nobody's turn.
#[test]
fn the_choice_of_a_plugin_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("libwaiter.so");
    let source = artifacts::root().join("tests/tests/waiting/waiter.c");
    artifacts::c_plugin(&source, &file, &["-pthread"]);
    let plugin = fs::read(&file).expect("it was compiled");
    let world = World::new();
    let gateway = world
        .before(&config(1, NINE, ", plugins: [{name: waiter}]"))
        .plugin_bytes("libwaiter.so", &plugin)
        .start();
    let mut client = gateway.client();
    for round in 0..100 {
        let chosen = ["service:other", "service:s", "pass:1"][round % 3];
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: test\r\nx-do: {chosen}\r\n\r\n"
        ));
        assert_eq!(client.expect_response().status, 200, "{chosen}");
    }
    let mut by_choice: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for (place, upstream) in [&world.own, &world.a, &world.b].into_iter().enumerate() {
        for request in upstream.take_requests() {
            let chosen = request.headers.get("x-do").expect("it was sent");
            by_choice.entry(chosen).or_default()[place] += 1;
        }
    }
    assert_eq!(by_choice["service:other"], [0, 0, 34]);
    assert_eq!(by_choice["service:s"], [33, 0, 0]);
    assert_eq!(by_choice["pass:1"], [0, 30, 3], "nine to one");
}

/// A target that takes no connection costs its upstream no request of its share.
#[test]
fn other_targets_of_the_same_upstream_are_tried_and_no_other_upstream() {
    let world = World::new();
    let dead = Refusing::new();
    let split = "{upstream: a, weight: 1}, {upstream: b, weight: 1}";
    let text = config(1, split, "").replace(
        "targets: [{address: \"@a@\"}]",
        "targets: [{address: \"@dead@\"}, {address: \"@a@\"}]",
    );
    let gateway = world.before(&text).set("dead", dead.address()).start();
    send(&mut gateway.client(), 40);
    assert_eq!(world.shares(), (0, 20, 20));
}
