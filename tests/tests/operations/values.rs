//! Values that plugins keep, and arguments that are none.

use swapgate_tests::Upstream;

use crate::world::{number, prepared, probe};

#[test]
fn values_outlive_a_swap_and_a_reload() {
    let upstream = Upstream::echo();
    let gateway = prepared("", &[], &upstream).start();
    assert_eq!(gateway.get("/add?hits").text(), "0 1 of 1.0.0");
    assert_eq!(gateway.get("/add?hits").text(), "0 2 of 1.0.0");
    gateway.plugins().rename(&probe("1.1.0"), "libprobe.so");
    gateway.wait_for_answers("the new version", "/add?other", |answer| {
        answer.text().ends_with("1.1.0")
    });
    assert_eq!(gateway.get("/add?hits").text(), "0 3 of 1.1.0");
    assert_eq!(number(&gateway, "never"), 0);
    let metrics = gateway.admin("/metrics").text();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("swapgate_plugin_kv_bytes{plugin=\"probe\"}"))
        .unwrap_or_else(|| panic!("no such line in {metrics}"));
    let bytes: f64 = line.rsplit(' ').next().unwrap().parse().expect("a number");
    assert!((100.0..10_000.0).contains(&bytes), "{line}");
}

#[test]
fn malformed_arguments_are_answered_and_harm_nobody() {
    let upstream = Upstream::echo();
    let gateway = prepared("", &[], &upstream).start();
    let codes = gateway.get("/arguments").text();
    let expected = "-3 -3 -3 -3 0 -8 -3 -3 -3 -14 0 \
        -3 -3 -3 -4 -3 -3 -11 -3 -3 -5 \
        -3 -3 -3 -3 -5 ";
    assert_eq!(codes, expected);
    // What was refused was not begun, and what it would have released is left alone.
    assert_eq!(number(&gateway, "work:released"), 0);
    assert!(upstream.requests().is_empty());
}
