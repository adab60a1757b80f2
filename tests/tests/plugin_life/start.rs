//! What a gateway does whose plugins are missing, refused or misconfigured when it starts.

use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Response, Upstream, wait_until};

use crate::world::{Restless, World, faulty, prepared, stamp, wait_for_log};

/// Two routes: `/guarded` with the plugin of the test, `/plain` without.
fn two_routes(settings: &str, plugins: &str) -> (Builder, Upstream) {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nup\n");
    let builder = Gateway::with(&format!(
        "\
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes:
  - {{name: guarded, service: up, paths: [/guarded], plugins: [{plugins}]}}
  - {{name: plain, service: up, paths: [/plain]}}
"
    ))
    .set("up", upstream.address());
    (builder, upstream)
}

#[track_caller]
fn assert_unavailable(answer: &Response) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], 503);
}

/// Starts degraded, with this in `/status` and in the log.
#[track_caller]
fn degraded(builder: Builder, upstream: &Upstream, reason: &str) -> Gateway {
    let gateway = builder.start();
    assert_unavailable(&gateway.get("/guarded"));
    assert_eq!(upstream.requests().len(), 0, "a request passed unguarded");
    assert_eq!(gateway.get("/plain").status, 200);
    assert_eq!(gateway.admin("/healthz").status, 200);
    assert_eq!(gateway.admin("/readyz").status, 503);
    let status = gateway.status();
    assert_eq!(status["ready"], false);
    let told = status["degraded"][0]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(told.contains(reason), "{status:#}");
    wait_for_log(&gateway, &told);
    gateway
}

#[test]
fn a_missing_plugin_is_a_503_even_where_open_until_its_file_comes() {
    for on_error in ["closed", "open"] {
        let (builder, upstream) = two_routes("", &format!("{{name: stamp, on_error: {on_error}}}"));
        let gateway = degraded(builder, &upstream, "the plugin stamp is not in ");
        gateway
            .plugins()
            .rename(stamp("late").bytes(), "libstamp.so");
        gateway.wait_for_answers("the route", "/guarded", |answer| answer.status == 200);
        assert_eq!(
            gateway
                .get("/guarded")
                .header("x-stamp-response")
                .as_deref(),
            Some("late")
        );
        wait_until("readiness", || gateway.admin("/readyz").status == 200);
        let status = gateway.status();
        assert_eq!(status["degraded"], serde_json::json!([]), "{status:#}");
    }
}

#[test]
fn a_use_that_has_nothing_does_not_block_other_changes() {
    let (builder, upstream) = two_routes("", "{name: stamp}");
    let gateway = degraded(builder, &upstream, "the plugin stamp is not in ");
    let before = gateway.generation();
    let text = std::fs::read_to_string(gateway.config_file()).expect("the file is there");
    gateway.write_whole_config(&text.replace("/guarded", "/elsewhere"));
    gateway.wait_for_generation_after(before);
    assert_unavailable(&gateway.get("/elsewhere"));
    assert_eq!(gateway.admin("/readyz").status, 503);
}

#[test]
fn a_refused_file_is_a_503_and_said() {
    let (builder, upstream) = two_routes("", "{name: faulty, on_error: open}");
    let builder = builder.plugin_bytes("libfaulty.so", faulty().fault("load=panic").bytes());
    let gateway = degraded(builder, &upstream, "load panicked");
    gateway.plugins().copy(faulty().bytes(), "libfaulty.so");
    wait_until("the route to be served", || {
        gateway.get("/guarded").status == 200
    });
}

#[test]
fn a_configure_that_refuses_at_the_start_is_a_503_and_said() {
    let (builder, upstream) = two_routes(
        "",
        "{name: faulty, on_error: open, config: {configure: refuse}}",
    );
    let builder = builder.plugin_bytes("libfaulty.so", faulty().bytes());
    let gateway = degraded(builder, &upstream, "refused, as the test asked for");
    // A reload that mends the configuration mends the route.
    let text = std::fs::read_to_string(gateway.config_file()).expect("the file is there");
    gateway.write_whole_config(&text.replace("configure: refuse", "configure: {sleep: 1}"));
    wait_until("the route to be served", || {
        gateway.get("/guarded").status == 200
    });
    wait_until("readiness", || gateway.admin("/readyz").status == 200);
}

#[test]
fn a_plugin_that_crashes_in_configure_at_the_start_is_a_503() {
    let (builder, upstream) = two_routes("", "{name: faulty, config: {configure: segv}}");
    let builder = builder.plugin_bytes("libfaulty.so", faulty().bytes());
    degraded(
        builder,
        &upstream,
        "it crashed the preflight in configure (SIGSEGV)",
    );
}

#[test]
fn no_admitted_version_is_a_503_and_says_what_is_there() {
    let (builder, upstream) = two_routes("", "{name: stamp, version: ^2}");
    let builder = builder.plugin_bytes("libstamp.so", stamp("old").bytes());
    let gateway = degraded(builder, &upstream, "0.1.0");
    gateway
        .plugins()
        .copy(stamp("new").version("2.3.4").bytes(), "new.so");
    wait_until("the route to be served", || {
        gateway.get("/guarded").status == 200
    });
}

#[test]
fn a_global_plugin_that_is_missing_closes_every_route() {
    let (builder, upstream) = prepared("plugins: [{name: stamp, on_error: open}]", "");
    let gateway = builder.start();
    assert_unavailable(&gateway.get("/"));
    assert_unavailable(&gateway.get("/somewhere/else"));
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gateway.admin("/readyz").status, 503);
    let world = World { gateway, upstream };
    world
        .gateway
        .plugins()
        .rename(stamp("global").bytes(), "libstamp.so");
    wait_until("the route to be served", || {
        world.gateway.get("/").status == 200
    });
    world.wait_for_stamp("global");
    wait_until("readiness", || world.gateway.admin("/readyz").status == 200);
}

#[test]
fn a_configuration_against_the_schema_ends_the_start_with_its_place() {
    let (builder, _upstream) = two_routes("", "{name: faulty, config: {acces: panic}}");
    let refusal = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start_refused();
    assert_eq!(refusal.code, Some(2), "{}", refusal.stderr);
    assert!(
        refusal.stderr.contains("swapgate.yaml:11:")
            && refusal.stderr.contains("routes[0].plugins[0].config.acces"),
        "{}",
        refusal.stderr
    );
}

#[test]
fn a_file_that_is_written_all_the_time_does_not_keep_the_gateway_from_starting() {
    let (builder, _upstream) = two_routes("", "{name: stamp}");
    let versions = ["restless-a", "restless-b"].map(|text| stamp(text).bytes().to_vec());
    let writer = Restless::start(builder.plugins().file("libstamp.so"), versions);
    let gateway = builder.start();
    assert_eq!(gateway.get("/plain").status, 200);
    drop(writer);
    wait_until("the route to be served", || {
        gateway.get("/guarded").status == 200
    });
}
