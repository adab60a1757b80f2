//! The plugin `rate-limit` in a gateway with several workers.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::Value;
use swapgate_tests::{Client, Gateway, Patched, Response, Upstream, artifacts};

const ROUTES: &str = "\
workers: 2
upstreams: [{name: a, targets: [{address: \"@a@\"}]}]
services: [{name: a, upstream: a}]
routes:
";

/// One route with the plugin for each path and configuration.
fn config(uses: &[(&str, &str)]) -> String {
    let routes = uses.iter().map(|(path, config)| {
        format!(
            "  - {{name: {path}, service: a, paths: [/{path}], plugins: [{{name: rate-limit, config: {config}}}]}}\n"
        )
    });
    format!("{ROUTES}{}", routes.collect::<String>())
}

fn gateway(uses: &[(&str, &str)], upstream: &Upstream) -> Gateway {
    Gateway::with(&config(uses))
        .set("a", upstream.address())
        .plugin("rate_limit")
        .start()
}

fn ask(client: &mut Client, path: &str, fields: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
    client.send(request).expect_response()
}

/// How many of `times` requests pass.
fn passed(gateway: &Gateway, path: &str, times: usize) -> usize {
    let answers = (0..times).map(|_| gateway.get(path).status);
    answers.filter(|status| *status == 200).count()
}

/// 64 clients on connections of their own ask at once, each for both keys in turn.
#[track_caller]
fn check_exact(algorithm: &str) {
    const CLIENTS: usize = 64;
    const EACH: usize = 12;
    const LIMIT: usize = 300;
    let upstream = Upstream::echo();
    let config =
        format!("{{limit: {LIMIT}, window: 4h, by: {{header: x-key}}, algorithm: {algorithm}}}");
    let gateway = gateway(&[("x", &config)], &upstream);
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (together, address) = (Arc::clone(&together), gateway.address());
            thread::spawn(move || {
                let mut client = Client::connect(address);
                together.wait();
                let mut answers = Vec::new();
                for _ in 0..EACH {
                    for key in ["a", "b"] {
                        let answer = ask(&mut client, "/x", &format!("X-Key: {key}\r\n"));
                        answers.push((key, answer));
                    }
                }
                answers
            })
        })
        .collect();
    let mut counts = BTreeMap::new();
    for (key, answer) in clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
    {
        *counts.entry((key, answer.status)).or_insert(0) += 1;
        check_fields(&answer, LIMIT);
    }
    let refused = CLIENTS * EACH - LIMIT;
    let expected = [
        (("a", 200), LIMIT),
        (("a", 429), refused),
        (("b", 200), LIMIT),
        (("b", 429), refused),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    check_metrics(&gateway, 2 * LIMIT, 2 * refused);
    assert_eq!(
        upstream.requests().len(),
        2 * LIMIT,
        "what is refused stays here"
    );
}

/// A header field as it came; the harness shows quotes with a backslash.
#[track_caller]
fn field(answer: &Response, name: &str) -> Option<String> {
    Some(answer.header(name)?.replace("\\\"", "\""))
}

#[track_caller]
fn check_fields(answer: &Response, limit: usize) {
    let policy = format!("\"default\";q={limit};w=14400");
    assert_eq!(field(answer, "ratelimit-policy"), Some(policy));
    let left = field(answer, "ratelimit").unwrap();
    if answer.status == 200 {
        assert!(left.starts_with("\"default\";r="), "{left}");
        assert_eq!(answer.header("retry-after"), None);
        return;
    }
    let wait = answer.header("retry-after").unwrap();
    assert!(wait.parse::<u32>().is_ok_and(|wait| wait > 0), "{wait}");
    assert_eq!(left, format!("\"default\";r=0;t={wait}"));
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/problem+json")
    );
    assert_eq!(answer.json()["status"], 429);
}

/// The gateway shows the same numbers, of the policy that is called so unless it has a name.
#[track_caller]
fn check_metrics(gateway: &Gateway, admitted: usize, refused: usize) {
    let name = |metric: &str, labels: &str| {
        format!("swapgate_plugin_rate_limit_{metric}{{{labels}policy=\"default\"}}")
    };
    for (outcome, count) in [("admitted", admitted), ("refused", refused)] {
        let series = name("requests_total", &format!("outcome=\"{outcome}\","));
        gateway.wait_for_metric(&series, count as f64);
    }
    gateway.wait_for_metric(&name("keys", ""), 2.0);
}

#[test]
fn a_token_bucket_is_exact_over_all_workers() {
    check_exact("token-bucket");
}

#[test]
fn a_sliding_window_is_exact_over_all_workers() {
    check_exact("sliding-window");
}

#[test]
fn counts_outlive_reloads_that_leave_the_configuration_alone() {
    let upstream = Upstream::echo();
    let three = "{limit: 3, window: 1h, by: address}";
    let gateway = gateway(&[("x", three)], &upstream);
    assert_eq!(passed(&gateway, "/x", 2), 2);
    gateway.reload_published(&config(&[
        ("x", three),
        ("y", "{limit: 1, window: 1h, by: address}"),
    ]));
    assert_eq!(passed(&gateway, "/x", 3), 1, "two were used before");
    assert_eq!(passed(&gateway, "/y", 3), 1);
    gateway.reload_published(&config(&[("x", "{limit: 4, window: 1h, by: address}")]));
    assert_eq!(
        passed(&gateway, "/x", 9),
        4,
        "another configuration counts anew"
    );
}

/// Puts another version of the plugin into the folder and waits until it serves.
fn swap(gateway: &Gateway, version: &str) {
    let file = Patched::read(&artifacts::plugin("rate_limit")).version(version);
    let before = gateway.generation();
    gateway.plugins().rename(file.bytes(), "librate_limit.so");
    gateway.wait_for_generation_after(before);
}

/// What became of the state, of the one instance that serves.
fn state(gateway: &Gateway, version: &str) -> Value {
    let view = gateway.plugins_view();
    let images = view["images"].as_array().expect("a list of images");
    let image = images.iter().find(|image| image["version"] == version);
    image.expect("that version")["instances"][0]["state"].clone()
}

#[test]
fn a_used_up_limit_stays_used_up_over_swaps() {
    for algorithm in ["token-bucket", "sliding-window"] {
        let upstream = Upstream::echo();
        let three = format!("{{limit: 3, window: 1h, by: address, algorithm: {algorithm}}}");
        let four =
            format!("{{limit: 4, window: 1h, by: address, algorithm: {algorithm}, policy: four}}");
        let gateway = gateway(&[("x", &three), ("y", &four)], &upstream);
        assert_eq!(passed(&gateway, "/x", 5), 3);
        assert_eq!(passed(&gateway, "/y", 1), 1);
        swap(&gateway, "7.0.0");
        assert_eq!(passed(&gateway, "/x", 5), 0, "all were used before");
        assert_eq!(passed(&gateway, "/y", 2), 2);
        swap(&gateway, "7.1.0");
        assert_eq!(passed(&gateway, "/x", 5), 0);
        assert_eq!(passed(&gateway, "/y", 5), 1, "three were used before");
        let taken = state(&gateway, "7.1.0");
        assert_eq!(taken["taken"]["from"], "rate-limit@7.0.0", "{taken}");
    }
}

#[test]
fn a_used_up_limit_stays_used_up_when_other_settings_change() {
    let upstream = Upstream::echo();
    let gateway = gateway(&[("x", "{limit: 3, window: 1h, by: address}")], &upstream);
    assert_eq!(passed(&gateway, "/x", 2), 2);
    let renamed = "{limit: 3, window: 1h, by: address, policy: renamed, max_keys: 90000}";
    gateway.reload_published(&config(&[("x", renamed)]));
    assert_eq!(passed(&gateway, "/x", 5), 1, "two were used before");
}

#[test]
fn uses_with_the_same_configuration_share_unless_they_say_otherwise() {
    let upstream = Upstream::echo();
    let shared = "{limit: 2, window: 1h, by: address}";
    let own = "{limit: 2, window: 1h, by: [address, route]}";
    let uses = [("a", shared), ("b", shared), ("c", own), ("d", own)];
    let gateway = gateway(&uses, &upstream);
    assert_eq!(passed(&gateway, "/a", 1) + passed(&gateway, "/b", 5), 2);
    assert_eq!(
        (passed(&gateway, "/c", 5), passed(&gateway, "/d", 5)),
        (2, 2)
    );
}

#[test]
fn authenticated_consumers_are_told_apart() {
    let upstream = Upstream::echo();
    let keys = "{header: x-api-key, keys: [{key: k1, consumer: alice}, {key: k2, consumer: alice}, {key: k3, consumer: bob}]}";
    let text = format!(
        "{ROUTES}  - {{name: x, service: a, paths: [/], plugins: [{{name: rate-limit, config: {{limit: 2, window: 1h}}}}, {{name: key-auth, config: {keys}}}]}}\n"
    );
    let gateway = Gateway::with(&text)
        .set("a", upstream.address())
        .plugin("rate_limit")
        .plugin("key_auth")
        .start();
    let mut client = gateway.client();
    let mut ask = |key: &str| ask(&mut client, "/", &format!("X-Api-Key: {key}\r\n")).status;
    assert_eq!(["none"; 4].map(&mut ask), [401; 4], "nobody's count");
    assert_eq!(
        ["k1", "k2", "k1", "k3", "k3", "k3"].map(&mut ask),
        [200, 200, 429, 200, 200, 429]
    );
}
