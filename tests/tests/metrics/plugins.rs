//! What is told of plugins, and what they tell themselves.

use swapgate_tests::{Gateway, Patched, artifacts};

use crate::ok;

const PROBED: &str = "\
workers: 2
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes: [{name: probe, service: up, paths: [\"/x/{id}\"]}]
plugins: [{name: conformance}]
";

const PROBES: &str = "swapgate_plugin_conformance_probes_total{by=\"probe\"}";

fn conformance() -> Patched {
    Patched::read(&artifacts::plugin("conformance"))
}

fn calls(version: &str, phase: &str) -> String {
    format!(
        "swapgate_plugin_calls_total{{plugin=\"conformance\",version=\"{version}\",phase=\"{phase}\"}}"
    )
}

#[test]
fn metrics_of_a_plugin_survive_its_swap() {
    let upstream = ok();
    let gateway = Gateway::with(PROBED)
        .set("up", upstream.address())
        .plugin_bytes("libconformance.so", conformance().bytes())
        .start();
    for _ in 0..4 {
        assert_eq!(gateway.get("/x/1").status, 200);
    }
    // Once in each of seven hooks; what the preflight did in its own process is not in it.
    gateway.wait_for_metric(PROBES, 28.0);
    let scrape = gateway.metrics();
    assert_eq!(scrape.value("swapgate_plugin_conformance_level"), Some(5.0));
    assert_eq!(
        scrape.value("swapgate_plugin_conformance_size_bytes_count"),
        Some(28.0)
    );
    assert_eq!(
        scrape.value("swapgate_plugin_conformance_size_bytes_sum"),
        Some(84.0)
    );
    let ten = "swapgate_plugin_conformance_size_bytes_bucket{le=\"10\"}";
    assert_eq!(scrape.value(ten), Some(28.0));
    for phase in [
        "rewrite",
        "access",
        "request_body",
        "header_filter",
        "body_filter",
        "log",
        "request_end",
    ] {
        assert_eq!(scrape.value(&calls("0.1.0", phase)), Some(4.0), "{phase}");
    }

    let generation = gateway.generation();
    let next = conformance().version("0.2.0");
    gateway.plugins().rename(next.bytes(), "libconformance.so");
    gateway.wait_for_generation_after(generation);
    for _ in 0..2 {
        assert_eq!(gateway.get("/x/1").status, 200);
    }
    gateway.wait_for_metric(PROBES, 42.0);
    gateway.wait_for_metric(&calls("0.2.0", "access"), 2.0);
    let scrape = gateway.metrics();
    assert_eq!(
        scrape.value(&calls("0.1.0", "access")),
        Some(4.0),
        "{}",
        scrape.text
    );
    assert_eq!(
        scrape.value("swapgate_swaps_total{outcome=\"published\"}"),
        Some(1.0)
    );
    assert_eq!(scrape.value("swapgate_images{state=\"active\"}"), Some(1.0));
    // The old image stays mapped, as those written in Rust do, once its last instance is destroyed.
    gateway.wait_for_metric("swapgate_resident_images{plugin=\"conformance\"}", 1.0);
    assert_eq!(gateway.metrics().value(PROBES), Some(42.0));
}

#[test]
fn what_a_plugin_counts_ends_with_its_last_image() {
    let upstream = ok();
    let gateway = Gateway::with(PROBED)
        .set("up", upstream.address())
        .plugin("conformance")
        .start();
    assert_eq!(gateway.get("/x/1").status, 200);
    gateway.wait_for_metric(PROBES, 7.0);
    gateway.reload_published(&PROBED.replace("plugins: [{name: conformance}]\n", ""));
    swapgate_tests::eventually!(gateway.metrics().value(PROBES).is_none());
    assert_eq!(gateway.metrics().value(&calls("0.1.0", "log")), Some(1.0));
}

#[test]
fn one_exchange_in_64_is_timed() {
    let upstream = ok();
    let gateway = Gateway::with(&PROBED.replace("workers: 2", "workers: 1"))
        .set("up", upstream.address())
        .plugin("conformance")
        .start();
    let mut client = gateway.client();
    for _ in 0..130 {
        assert_eq!(client.get("/x/1").status, 200);
    }
    gateway.wait_for_metric(&calls("0.1.0", "request_end"), 130.0);
    let scrape = gateway.metrics();
    let labels = "{plugin=\"conformance\",version=\"0.1.0\",phase=\"access\"}";
    let timed = scrape.value(&format!("swapgate_plugin_sampled_calls_total{labels}"));
    assert_eq!(timed, Some(2.0));
    let seconds = scrape.value(&format!("swapgate_plugin_sampled_seconds_total{labels}"));
    assert!(seconds > Some(0.0), "{seconds:?}");
}

#[test]
fn refused_files_are_counted_by_reason() {
    let upstream = ok();
    let gateway = Gateway::with(crate::TWO)
        .set("up", upstream.address())
        .start();
    gateway.plugins().rename(b"no library at all", "libx.so");
    gateway.wait_for_metric("swapgate_refusals_total{reason=\"not_a_library\"}", 1.0);
    let newer = conformance().in_descriptor(16, &[9_u32.to_le_bytes(); 2].concat());
    gateway.plugins().rename(newer.bytes(), "libconformance.so");
    gateway.wait_for_metric("swapgate_refusals_total{reason=\"version\"}", 1.0);
}
