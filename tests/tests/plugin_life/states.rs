//! A new version takes the place of an old one, and what the old one knows is lost: it begins empty, or it does not serve.

use serde_json::Value;
use swapgate_tests::wait_until;

use crate::world::{World, config, faulty, prepared, wait_for_log};

/// A use of `faulty` that hands a state over.
fn use_of(faults: &str, on_state_refusal: &str) -> String {
    format!("{{name: faulty, on_state_refusal: {on_state_refusal}, config: {{{faults}}}}}")
}

/// A gateway with that use on its one route.
fn world(faults: &str, on_state_refusal: &str, settings: &str) -> World {
    let (builder, upstream) = prepared(settings, &use_of(faults, on_state_refusal));
    let builder = builder.plugin_bytes("libfaulty.so", faulty().version("1.0.0").bytes());
    World::start(builder, upstream)
}

/// Puts version 2 into the folder.
fn swap(world: &World) {
    let file = faulty().version("2.0.0");
    world.gateway.plugins().rename(file.bytes(), "libfaulty.so");
}

/// The active image, once it has this version.
fn active(world: &World, version: &str) -> Value {
    world.wait_for_image("faulty", &format!("version {version} active"), |image| {
        image["state"] == "active" && image["version"] == version
    })
}

fn wait_for_note(world: &World, text: &str) {
    wait_until(&format!("`{text}` in the notes"), || {
        let status = world.gateway.status();
        status["notes"].to_string().contains(text)
    });
}

#[test]
fn a_state_is_handed_over() {
    let world = world("state_bytes: 70000", "keep-old", "");
    swap(&world);
    let image = active(&world, "2.0.0");
    let state = &image["instances"][0]["state"]["taken"];
    assert_eq!(state["from"], "faulty@1.0.0", "{image}");
    assert_eq!(state["bytes"], 70_000);
    assert_eq!(world.gateway.status()["notes"], serde_json::json!([]));
}

/// The new version begins empty and says why.
#[track_caller]
fn check_empty(faults: &str, settings: &str, why: &str) {
    let world = world(faults, "start-empty", settings);
    swap(&world);
    let image = active(&world, "2.0.0");
    let lost = image["instances"][0]["state"]["lost"]["reason"].to_string();
    assert!(lost.contains(why), "{lost}");
    wait_for_note(
        &world,
        "faulty@2.0.0 in routes[0].plugins[0] starts empty, without the state of faulty@1.0.0: ",
    );
    wait_for_log(&world.gateway, why);
    assert_eq!(world.gateway.get("/").status, 200);
}

/// The old version stays and the gateway says why.
#[track_caller]
fn check_kept(faults: &str, settings: &str, why: &str) {
    let world = world(faults, "keep-old", settings);
    swap(&world);
    wait_for_note(&world, "faulty@2.0.0");
    wait_for_note(&world, why);
    active(&world, "1.0.0");
    assert_eq!(world.gateway.get("/").status, 200);
}

#[test]
fn a_refused_state_makes_an_empty_instance_unless_the_old_one_is_to_stay() {
    let faults = "state_bytes: 9, import_state: refuse";
    let why = "import_state failed, refused, as the test asked for";
    check_empty(faults, "", why);
    check_kept(faults, "", why);
}

#[test]
fn a_state_that_cannot_be_written_is_lost_alike() {
    let faults = "state_bytes: 9, export_state: panic";
    let why = "export_state panicked";
    check_empty(faults, "", why);
    check_kept(faults, "", why);
}

#[test]
fn a_state_above_the_limit_is_lost_alike() {
    let settings = "loader: {state_bytes: 64KiB}";
    let why = "its state is larger than the 65536 bytes of loader.state_bytes";
    check_empty("state_bytes: 65537", settings, why);
    check_kept("state_bytes: 65537", settings, why);
}

#[test]
fn a_plugin_that_hangs_in_export_holds_nothing_up() {
    let settings = "loader: {call_timeout: 500ms}";
    let why = "export_state did not return";
    check_empty("state_bytes: 9, export_state: hang", settings, why);
    check_kept("state_bytes: 9, export_state: hang", settings, why);
}

#[test]
fn a_reload_that_would_lose_a_state_is_refused_where_the_old_one_is_to_stay() {
    let world = world("state_bytes: 9", "keep-old", "");
    let changed = use_of("state_bytes: 9, import_state: refuse", "keep-old");
    let errors = world.gateway.reload_refused(&config("", &changed));
    let errors = errors.join("; ");
    assert!(
        errors.contains("the state of faulty@1.0.0 would be lost (import_state failed, refused"),
        "{errors}"
    );
    assert_eq!(world.gateway.generation(), 1);
    let allowed = use_of("state_bytes: 9, import_state: refuse", "start-empty");
    world.gateway.reload_published(&config("", &allowed));
}

#[test]
fn a_version_that_comes_back_while_it_drains_is_given_what_was_learnt_since() {
    let world = world("state_bytes: 9, access: {sleep: 1}", "start-empty", "");
    // An exchange that stays with the first version: its body does not come.
    let mut client = world.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\ncontent-length: 2\r\n\r\n");
    wait_until("the exchange to begin", || {
        let image = world.images("faulty").remove(0);
        let hooks = image["hooks"].as_array().cloned().unwrap_or_default();
        hooks
            .iter()
            .any(|hook| hook["hook"] == "access" && hook["calls"] == 1)
    });
    swap(&world);
    active(&world, "2.0.0");
    let first = faulty().version("1.0.0");
    world
        .gateway
        .plugins()
        .rename(first.bytes(), "libfaulty.so");
    let image = active(&world, "1.0.0");
    let instances = image["instances"].as_array().cloned().unwrap_or_default();
    let taken = |instance: &Value| instance["state"]["taken"]["from"] == "faulty@2.0.0";
    assert!(instances.iter().any(taken), "{image}");
    client.send("ok");
    assert_eq!(client.expect_response().status, 200);
}
