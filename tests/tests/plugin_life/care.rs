//! What the gateway does by itself about plugins that go wrong: names hooks that do not return, leaves a plugin alone for a
//! while, goes back to the version before.

use rustix::process::Signal;
use serde_json::Value;
use swapgate_tests::{Client, wait_for, wait_until};

use crate::world::{World, faulty, prepared, wait_for_log};

/// A gateway with the faulty plugin on its one route.
fn world(settings: &str, faults: &str, on_error: &str) -> World {
    let use_ = format!("{{name: faulty, on_error: {on_error}, config: {{{faults}}}}}");
    let (builder, upstream) = prepared(settings, &use_);
    World::start(
        builder.plugin_bytes("libfaulty.so", faulty().bytes()),
        upstream,
    )
}

/// The status of a request that the plugin does something wrong for.
#[track_caller]
fn hit(world: &World) -> u16 {
    let mut client = world.gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nx-fault: 1\r\n\r\n");
    client.expect_response().status
}

fn status(world: &World) -> u16 {
    world.gateway.get("/").status
}

/// The health of the only version, as `/plugins` shows it.
fn health(world: &World) -> Value {
    world.images("faulty").remove(0)["health"].clone()
}

fn serving(world: &World) -> Vec<String> {
    let images = world.images("faulty").into_iter();
    let active = images.filter(|image| image["state"] == "active");
    active
        .map(|image| image["version"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_hook_that_does_not_return_is_named_while_it_lasts() {
    let world = world(
        "faults: {hook_budget: 100ms}",
        "access: {sleep: 4000}, when: x-fault",
        "closed",
    );
    let address = world.gateway.address();
    let stuck = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nx-fault: 1\r\n\r\n");
        client.expect_response().status
    });
    let status = wait_for("the stuck hook in /status", || {
        let status = world.gateway.status();
        (status["stuck_hooks"] != Value::Array(Vec::new())).then_some(status)
    });
    let hook = &status["stuck_hooks"][0];
    assert_eq!(hook["plugin"], "faulty@0.1.0");
    assert_eq!(
        (&hook["hook"], &hook["route"]),
        (&"access".into(), &"all".into())
    );
    assert!(
        status["stuck"][0]
            .as_str()
            .is_some_and(|text| text.starts_with("access of faulty@0.1.0 on worker "))
    );
    assert_eq!(
        world.gateway.metrics().value("swapgate_stuck_hooks"),
        Some(1.0)
    );
    wait_for_log(
        &world.gateway,
        "access of plugin faulty@0.1.0 has not returned",
    );
    assert_eq!(stuck.join().expect("it is answered in the end"), 200);
    wait_for_log(
        &world.gateway,
        "access of plugin faulty@0.1.0 returned after about ",
    );
    wait_until("the fault to be counted", || {
        health(&world)["over_budget"] == 1
    });
    world.gateway.wait_for_metric("swapgate_stuck_hooks", 0.0);
}

#[test]
fn a_breaker_opens_tries_and_closes() {
    let world = world(
        "faults: {breaker: {faults: 3, window: 60s, open: 1s}}",
        "access: panic, when: x-fault",
        "closed",
    );
    for _ in 0..2 {
        assert_eq!(hit(&world), 500);
    }
    assert_eq!(
        (status(&world), &health(&world)["breaker"]),
        (200, &"closed".into())
    );
    assert_eq!(hit(&world), 500);
    // The next one may be the one that tries already, on a machine that is slow enough.
    wait_for_log(&world.gateway, "the breaker of plugin faulty@0.1.0 opened");
    wait_until("a trial that goes wrong", || hit(&world) == 500);
    assert_eq!(health(&world)["opened"], 2);
    wait_until("a trial that goes well", || status(&world) == 200);
    wait_until("the breaker to close", || {
        health(&world)["breaker"] == "closed"
    });
    wait_for_log(&world.gateway, "the breaker of plugin faulty@0.1.0 closed");
    assert_eq!(health(&world)["panics"], 4);
    assert_eq!(
        (hit(&world), hit(&world)),
        (500, 500),
        "it counts from nothing"
    );
    let opened = "swapgate_plugin_breaker_opened_total{plugin=\"faulty\",version=\"0.1.0\"}";
    assert_eq!(world.gateway.metrics().value(opened), Some(2.0));
}

#[test]
fn while_it_is_open_uses_are_closed_or_open_and_the_plugin_is_not_called() {
    let settings = "faults: {breaker: {faults: 1, window: 60s, open: 1h}}";
    for (on_error, first, then) in [("closed", 500, 503), ("open", 200, 200)] {
        let world = world(settings, "access: refuse, when: x-fault", on_error);
        assert_eq!(hit(&world), first);
        for _ in 0..3 {
            assert_eq!((hit(&world), status(&world)), (then, then));
        }
        let image = world.images("faulty").remove(0);
        let hooks = image["hooks"].as_array().expect("a list of hooks");
        let access = hooks.iter().find(|hook| hook["hook"] == "access");
        assert_eq!(access.expect("it has the hook")["calls"], 1);
        assert_eq!(health(&world)["breaker"], "open");
    }
}

#[test]
fn a_version_that_fails_its_probation_goes_and_stays_away() {
    let mut world = world(
        "faults: {return_after: 3, probation: 1h, breaker: {faults: 0}}",
        "when: x-fault",
        "closed",
    );
    let bad = faulty().version("0.2.0").fault("access=panic");
    world.gateway.plugins().rename(bad.bytes(), "libfaulty.so");
    wait_until("0.2.0 to serve", || serving(&world) == ["0.2.0"]);
    for _ in 0..3 {
        assert_eq!(hit(&world), 500);
    }
    wait_for_log(
        &world.gateway,
        "plugin faulty@0.2.0 is put into quarantine, faulty@0.1.0 serves again",
    );
    wait_until("0.1.0 to serve", || serving(&world) == ["0.1.0"]);
    assert_eq!(hit(&world), 200);

    // Neither another look nor a restart brings it back.
    let number = world.gateway.status()["last_change"]["number"].as_u64();
    world.gateway.signal(Signal::HUP);
    world.gateway.wait_for_status("the reload", |status| {
        status["last_change"]["number"].as_u64() > number
    });
    assert_eq!(serving(&world), ["0.1.0"]);
    let refused = world.gateway.status()["refused"].to_string();
    assert!(
        refused.contains("it is in quarantine: faulty@0.2.0 had 3 faults within"),
        "{refused}"
    );
    assert_eq!(world.gateway.terminate().code(), Some(0));
    world.gateway.start_again();
    assert_eq!(serving(&world), ["0.1.0"]);
    assert_eq!(hit(&world), 200);

    // Another file is another matter.
    let good = faulty().version("0.3.0");
    world.gateway.plugins().rename(good.bytes(), "libfaulty.so");
    wait_until("0.3.0 to serve", || serving(&world) == ["0.3.0"]);
}

#[test]
fn a_return_names_who_serves_and_watches_it_where_it_is_another_one() {
    let world = world(
        "faults: {return_after: 3, probation: 1h, breaker: {faults: 0}}",
        "when: x-fault",
        "closed",
    );
    let plugins = world.gateway.plugins();
    let bad = faulty().version("0.2.0").fault("access=panic");
    plugins.rename(bad.bytes(), "libfaulty.so");
    wait_until("0.2.0 to serve", || serving(&world) == ["0.2.0"]);
    let between = faulty().version("0.1.5").fault("access=panic");
    plugins.rename(between.bytes(), "libfaulty-between.so");
    // Once this one is refused, the one before has been looked at.
    plugins.rename(b"no plugin", "libjunk.so");
    world.gateway.wait_for_status("the refusal", |status| {
        status["refused"].to_string().contains("libjunk.so")
    });
    for _ in 0..3 {
        assert_eq!(hit(&world), 500);
    }
    wait_for_log(
        &world.gateway,
        "plugin faulty@0.2.0 is put into quarantine, faulty@0.1.5 serves in its place",
    );
    wait_until("0.1.5 to serve", || serving(&world) == ["0.1.5"]);
    for _ in 0..3 {
        assert_eq!(hit(&world), 500);
    }
    wait_until("0.1.5 to be judged", || {
        let log = world.gateway.log();
        log.contains("faulty@0.1.5 had 3 faults within")
    });
}

#[test]
fn a_version_that_passes_its_probation_lets_the_one_before_go() {
    let world = world("faults: {probation: 2s}", "when: x-fault", "closed");
    let next = faulty().version("0.2.0");
    world.gateway.plugins().rename(next.bytes(), "libfaulty.so");
    wait_until("0.2.0 to serve", || serving(&world) == ["0.2.0"]);
    wait_for_log(&world.gateway, "plugin faulty@0.2.0 passed its probation");
    world.wait_for_image("faulty", "0.1.0 to serve nobody", |image| {
        image["version"] == "0.1.0" && image["state"] == "resident"
    });
}
