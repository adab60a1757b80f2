//! Plugins that go wrong while they serve: the exchange ends as its use says, the fault is counted, and the process lives.

use serde_json::Value;
use swapgate_tests::{Client, Gateway, Response, Upstream, wait_until};

use crate::world::{World, c_example, c_plugin, config, faulty, prepared, replaced, wait_for_log};

/// A gateway with one route, `faulty` on it with this configuration, hit only where a request asks for it.
fn world(faults: &str, on_error: &str) -> World {
    let plugins =
        format!("{{name: faulty, on_error: {on_error}, config: {{{faults}, when: x-fault}}}}");
    let (builder, upstream) = prepared("", &plugins);
    World::start(
        builder.plugin_bytes("libfaulty.so", faulty().bytes()),
        upstream,
    )
}

fn faulted(client: &mut Client) -> Response {
    client.send("GET / HTTP/1.1\r\nHost: test\r\nx-fault: 1\r\n\r\n");
    client.expect_response()
}

/// Calls, errors and panics of a hook, as `/plugins` counts them.
fn account(world: &World, hook: &str) -> (u64, u64, u64) {
    let image = world.images("faulty").remove(0);
    let hooks = image["hooks"].as_array().expect("a list of hooks").clone();
    let found = hooks.into_iter().find(|one| one["hook"] == hook);
    let found = found.unwrap_or(Value::Null);
    let number = |key: &str| found[key].as_u64().unwrap_or(0);
    (number("calls"), number("errors"), number("panics"))
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// 500, without a word about the inside.
    Closed,
    /// As if the plugin were not there.
    Skipped,
}

/// Sends a request that is hit between two that are not, all on one connection.
#[track_caller]
fn check(faults: &str, on_error: &str, hook: &str, ends: Ends, errors: u64, panics: u64) {
    let world = world(faults, on_error);
    let mut client = world.gateway.client();
    assert_eq!(client.get("/").status, 200);
    let answer = faulted(&mut client);
    match ends {
        Ends::Skipped => assert_eq!(answer.status, 200, "{answer:?}"),
        Ends::Closed => assert_problem(&answer),
    }
    assert_eq!(client.get("/").status, 200, "the next request is served");
    // `log` and `request_end` come after the answer.
    wait_until(
        &format!("{errors} errors and {panics} panics of {hook}"),
        || account(&world, hook) == (3, errors, panics),
    );
    wait_for_log(&world.gateway, "plugin faulty@0.1.0 failed in");
    assert_eq!(world.gateway.admin("/healthz").status, 200);
}

#[track_caller]
fn assert_problem(answer: &Response) {
    assert_eq!(answer.status, 500, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    let text = answer.text();
    assert!(
        !text.contains("the test asked"),
        "it tells the inside: {text}"
    );
    assert!(!text.contains("lib.rs"), "it tells the inside: {text}");
}

#[test]
fn a_panic_is_a_500_where_closed() {
    check("access: panic", "closed", "access", Ends::Closed, 1, 1);
    check(
        "header_filter: panic",
        "closed",
        "header_filter",
        Ends::Closed,
        1,
        1,
    );
    check(
        "access: panic_twice",
        "closed",
        "access",
        Ends::Closed,
        1,
        1,
    );
}

#[test]
fn a_panic_is_skipped_where_open() {
    check("access: panic", "open", "access", Ends::Skipped, 1, 1);
    check(
        "header_filter: panic",
        "open",
        "header_filter",
        Ends::Skipped,
        1,
        1,
    );
}

#[test]
fn an_error_code_is_a_500_where_closed_and_skipped_where_open() {
    check("access: refuse", "closed", "access", Ends::Closed, 1, 0);
    check("access: refuse", "open", "access", Ends::Skipped, 1, 0);
    check("access: {code: -4}", "open", "access", Ends::Skipped, 1, 0);
}

#[test]
fn an_unknown_code_is_closed_even_where_open() {
    for code in ["77", "1", "2147483647", "-2147483648"] {
        let faults = format!("access: {{code: {code}}}");
        check(&faults, "open", "access", Ends::Closed, 1, 0);
    }
    check(
        "header_filter: {code: 77}",
        "open",
        "header_filter",
        Ends::Closed,
        1,
        0,
    );
}

#[test]
fn a_panic_in_log_changes_no_answer() {
    check("log: panic", "closed", "log", Ends::Skipped, 1, 1);
    check("log: {code: 77}", "closed", "log", Ends::Skipped, 1, 0);
}

#[test]
fn a_plugin_that_failed_gets_only_the_end_of_that_exchange() {
    let world = world("access: panic, header_filter: panic, log: panic", "open");
    let mut client = world.gateway.client();
    assert_eq!(faulted(&mut client).status, 200);
    assert_eq!(client.get("/").status, 200);
    wait_until("both ends", || account(&world, "request_end").0 == 2);
    assert_eq!(account(&world, "access"), (2, 1, 1));
    // Only the second exchange came that far.
    assert_eq!(account(&world, "header_filter"), (1, 0, 0));
    assert_eq!(account(&world, "log"), (1, 0, 0));
}

#[test]
fn drops_that_panic_harm_nobody() {
    let world = world("state: panic, request_end: panic", "closed");
    let mut client = world.gateway.client();
    for _ in 0..3 {
        assert_eq!(faulted(&mut client).status, 200);
    }
    wait_for_log(&world.gateway, "could not be dropped cleanly");
    assert_eq!(client.get("/").status, 200);
    assert_eq!(account(&world, "access"), (4, 0, 0));
}

#[test]
fn a_destroy_that_panics_is_said() {
    let world = world("destroy: panic", "closed");
    let before = world.gateway.generation();
    world.gateway.write_config(&config("", ""));
    world.gateway.wait_for_generation_after(before);
    world.wait_for_image("faulty", "the image to stay without use", |image| {
        image["state"] == "resident"
    });
    wait_for_log(&world.gateway, "the test asked for a panic");
    assert_eq!(world.gateway.get("/").status, 200);
}

/// The stamp plugin in C with a `destroy` that never returns where it serves.
fn hangs_in_destroy() -> Vec<u8> {
    let source = replaced(
        &c_example("stamp.c"),
        "static void destroy(void *instance) { (void)instance; }",
        "static int serves;\nextern int pause(void);\n\
         static void destroy(void *instance) { (void)instance; while (serves) pause(); }",
    );
    let source = replaced(
        &source,
        "gateway = args->host;",
        "gateway = args->host; serves = !(args->flags & SG_ENTRY_PREFLIGHT);",
    );
    c_plugin(&source)
}

#[test]
fn a_destroy_that_hangs_is_shown_as_stuck_while_everything_else_goes_on() {
    let settings = "loader: {call_timeout: 1s}";
    let (builder, upstream) = prepared(settings, "{name: stamp-c}");
    let world = World::start(
        builder.plugin_bytes("stamp.so", &hangs_in_destroy()),
        upstream,
    );
    let load = world.load();
    load.wait_for_more(20);
    let before = world.gateway.generation();
    world.gateway.write_config(&config(settings, ""));
    world.gateway.wait_for_generation_after(before);

    let stuck = world.wait_for_image("stamp-c", "the image to be stuck", |image| {
        image["state"] == "stuck(destroy)"
    });
    assert_eq!(stuck["mapped"], true, "{stuck}");
    let status = world.gateway.wait_for_status("the stuck call", |status| {
        status["stuck"]
            .as_array()
            .is_some_and(|stuck| !stuck.is_empty())
    });
    assert_eq!(status["stuck"][0], "destroy of stamp-c@0.1.0");
    assert_eq!(world.gateway.admin("/healthz").status, 200);
    load.wait_for_more(20);

    // Other plugins come and are called all the same.
    let file = crate::world::stamp("next");
    world.gateway.plugins().copy(file.bytes(), "libstamp.so");
    world
        .gateway
        .write_config(&config(settings, "{name: stamp}"));
    world.wait_for_stamp("next");
    load.stop_without_failure();

    // The stuck one is not entered again.
    let generation = world.gateway.generation();
    world
        .gateway
        .write_config(&config(settings, "{name: stamp-c}"));
    let status = world.gateway.wait_for_status("the refusal", |status| {
        status["last_change"]["outcome"] == "refused"
    });
    let error = status["last_change"]["errors"][0].as_str().expect("a text");
    assert!(
        error.contains("destroy did not return within 1 s and keeps its thread"),
        "{error}"
    );
    assert_eq!(world.gateway.generation(), generation);
    assert_eq!(world.stamp(), "next");
}

#[test]
fn a_stuck_call_does_not_keep_the_process_from_ending() {
    let settings = "loader: {call_timeout: 1s}";
    let (builder, upstream) = prepared(settings, "{name: stamp-c}");
    let mut world = World::start(
        builder.plugin_bytes("stamp.so", &hangs_in_destroy()),
        upstream,
    );
    assert_eq!(world.gateway.get("/").status, 200);
    assert_eq!(world.gateway.terminate().code(), Some(0));
}

#[test]
fn a_global_plugin_that_fails_in_rewrite() {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for (on_error, fault, expected) in [
        ("closed", "panic", 500),
        ("open", "panic", 200),
        ("open", "{code: 77}", 500),
    ] {
        let gateway = Gateway::with(&format!(
            "\
workers: 1
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
plugins: [{{name: faulty, on_error: {on_error}, config: {{rewrite: {fault}, when: x-fault}}}}]
"
        ))
        .set("up", upstream.address())
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
        let mut client = gateway.client();
        assert_eq!(faulted(&mut client).status, expected, "{on_error} {fault}");
        assert_eq!(client.get("/").status, 200, "{on_error} {fault}");
    }
}
