//! The folder decides which version serves; what is loaded serves on only when no file is admitted any more.

use serde_json::Value;
use swapgate_tests::{wait_for, wait_until};

use crate::world::{World, config, faulty, prepared, stamp, stamped, wait_for_log};

/// A gateway whose folder holds stamps of these versions; each stamps its own version.
fn with_versions(version: &str, versions: &[&str]) -> World {
    let (mut builder, upstream) = prepared("", &format!("{{name: stamp, version: \"{version}\"}}"));
    for version in versions {
        builder = builder.plugin_bytes(&file(version), stamp(version).version(version).bytes());
    }
    World::start(builder, upstream)
}

fn file(version: &str) -> String {
    format!("stamp-{version}.so")
}

impl World {
    fn put(&self, version: &str) {
        let bytes = stamp(version).version(version);
        self.gateway.plugins().rename(bytes.bytes(), &file(version));
    }

    /// Waits for a note in `/status` that holds all of these.
    #[track_caller]
    fn wait_for_note(&self, pieces: &[&str]) -> String {
        let note = wait_for(&format!("a note with {pieces:?}"), || {
            let status = self.gateway.status();
            let notes = status["notes"].as_array()?.clone();
            let texts = notes.iter().filter_map(Value::as_str);
            texts
                .filter(|text| pieces.iter().all(|piece| text.contains(piece)))
                .map(str::to_owned)
                .next()
        });
        wait_for_log(&self.gateway, &note);
        note
    }
}

#[test]
fn the_highest_version_serves_and_a_downgrade_is_one_removal() {
    let world = with_versions("*", &["1.9.0", "1.10.0", "0.9.9"]);
    assert_eq!(world.stamp(), "1.10.0");
    let load = world.load();
    world.put("2.0.0");
    world.wait_for_stamp("2.0.0");
    // A lower one that comes later changes nothing.
    world.put("1.11.0");
    wait_until("the new file to be known", || {
        world
            .images("stamp")
            .iter()
            .any(|image| image["version"] == "1.11.0")
    });
    assert_eq!(world.stamp(), "2.0.0");
    world.gateway.plugins().remove(&file("2.0.0"));
    world.wait_for_stamp("1.11.0");
    world.gateway.plugins().remove(&file("1.11.0"));
    world.wait_for_stamp("1.10.0");
    load.stop_without_failure();
}

#[test]
fn a_use_says_which_versions_it_admits() {
    let world = with_versions("^1", &["1.2.0", "2.0.0", "0.9.0"]);
    assert_eq!(world.stamp(), "1.2.0");
    world.put("1.3.0");
    world.wait_for_stamp("1.3.0");
    world.put("3.0.0");
    world.gateway.plugins().remove(&file("1.3.0"));
    world.wait_for_stamp("1.2.0");
}

#[test]
fn of_one_version_in_two_files_the_one_that_settled_last_serves() {
    let world = stamped("a");
    let load = world.load();
    world
        .gateway
        .plugins()
        .rename(stamp("b").bytes(), "another.so");
    world.wait_for_stamp("b");
    world
        .gateway
        .plugins()
        .rename(stamp("c").bytes(), "libstamp.so");
    world.wait_for_stamp("c");
    // Without the one that settled last the other one is the best again.
    world.gateway.plugins().remove("libstamp.so");
    world.wait_for_stamp("b");
    load.stop_without_failure();
}

#[test]
fn without_any_file_the_loaded_image_serves_on_and_that_is_said() {
    let world = stamped("only");
    let load = world.load();
    world.gateway.plugins().remove("libstamp.so");
    world
        .wait_for_note(&["stamp@0.1.0 keeps serving routes[0].plugins[0] although no fit file in"]);
    load.wait_for_more(20);
    assert_eq!(world.stamp(), "only");
    // A reload keeps it too.
    let before = world.gateway.generation();
    world
        .gateway
        .write_config(&config("via: gate", "{name: stamp}"));
    world.gateway.wait_for_generation_after(before);
    assert_eq!(world.stamp(), "only");
    world.wait_for_note(&["keeps serving"]);
    // A new file ends that.
    world
        .gateway
        .plugins()
        .copy(stamp("back").bytes(), "libstamp.so");
    world.wait_for_stamp("back");
    wait_until("no note", || {
        world.gateway.status()["notes"] == serde_json::json!([])
    });
    load.stop_without_failure();
}

#[test]
fn a_digest_that_is_still_resident_is_not_mapped_twice() {
    let world = stamped("a");
    let load = world.load();
    for text in ["b", "a", "b", "a"] {
        world
            .gateway
            .plugins()
            .copy(stamp(text).bytes(), "libstamp.so");
        world.wait_for_stamp(text);
        wait_until("the other one to be resident", || {
            let states: Vec<_> = world
                .images("stamp")
                .iter()
                .map(|image| image["state"].clone())
                .collect();
            states.len() == 2
                && states.contains(&"resident".into())
                && states.contains(&"active".into())
        });
        assert_eq!(world.mapped().len(), 2);
    }
    load.stop_without_failure();
    let resident = world.wait_for_image("stamp", "the resident one", |image| {
        image["state"] == "resident"
    });
    let reasons = resident["reasons"].as_array().expect("a list");
    assert!(!reasons.is_empty(), "it says why: {resident}");
}

#[test]
fn a_reload_that_wants_another_version_waits_for_its_file() {
    let world = with_versions("^1", &["1.0.0"]);
    let load = world.load();
    let before = world.gateway.generation();
    world
        .gateway
        .write_config(&config("", "{name: stamp, version: ^2}"));
    let status = world
        .gateway
        .wait_for_status("the reload to wait", |status| !status["pending"].is_null());
    let error = status["pending"][0].as_str().expect("a text");
    assert!(
        error.contains("no version of the plugin stamp that `^2` admits"),
        "{error}"
    );
    assert_eq!(world.gateway.generation(), before);
    assert_eq!(world.stamp(), "1.0.0");
    world.put("2.0.0");
    world.wait_for_stamp("2.0.0");
    assert_eq!(world.gateway.status()["pending"], Value::Null);
    load.stop_without_failure();
}

#[test]
fn a_reload_that_names_a_plugin_nobody_has_waits_for_it() {
    let world = stamped("one");
    world
        .gateway
        .write_config(&config("", "{name: stamp}, {name: faulty}"));
    world
        .gateway
        .wait_for_status("the reload to wait", |status| !status["pending"].is_null());
    // What waits is forgotten when something newer is applied.
    let before = world.gateway.generation();
    world.gateway.write_config(&config("", "{name: stamp}"));
    world.gateway.wait_for_generation_after(before);
    world
        .gateway
        .plugins()
        .copy(faulty().bytes(), "libfaulty.so");
    world.wait_for_image("faulty", "the file to be known", |_| true);
    assert_eq!(world.gateway.status()["pending"], Value::Null);
    assert_eq!(world.images("faulty")[0]["mapped"], false);
    // Again, and now it comes.
    let before = world.gateway.generation();
    world.gateway.plugins().remove("libfaulty.so");
    world
        .gateway
        .write_config(&config("", "{name: stamp}, {name: faulty}"));
    world
        .gateway
        .wait_for_status("the reload to wait", |status| !status["pending"].is_null());
    world
        .gateway
        .plugins()
        .copy(faulty().bytes(), "libfaulty.so");
    world.gateway.wait_for_generation_after(before);
    world.wait_for_image("faulty", "it to be active", |image| {
        image["state"] == "active"
    });
    assert_eq!(world.stamp(), "one");
}

/// The stamp plugin in C that takes only this configuration, and stamps this text.
fn wants(config: &str, version: &str) -> Vec<u8> {
    use crate::world::{c_example, c_plugin, replaced};
    let source = replaced(
        &c_example("stamp.c"),
        "(void)config; /* the schema admits only the empty object */",
        &format!(
            "const char *wanted = \"{}\";\n\
             if (config.len != strlen(wanted) || memcmp(config.ptr, wanted, config.len) != 0) return SG_E_INVALID;",
            config.replace('"', "\\\"")
        ),
    );
    let source = replaced(
        &source,
        "\"{\\\"type\\\": \\\"object\\\", \\\"additionalProperties\\\": false}\"",
        "\"{\\\"type\\\": \\\"object\\\"}\"",
    );
    let source = replaced(&source, "\"0.1.0\"", &format!("\"{version}\""));
    c_plugin(&replaced(
        &source,
        "MARKER \"unset\"",
        &format!("MARKER \"{version}\""),
    ))
}

#[test]
fn a_version_that_refuses_the_configuration_waits_for_one_it_takes() {
    let (builder, upstream) = prepared("", "{name: stamp-c, config: {mode: old}}");
    let builder = builder.plugin_bytes("one.so", &wants("{\"mode\":\"old\"}", "1.0.0"));
    let world = World::start(builder, upstream);
    assert_eq!(world.stamp(), "1.0.0");
    let load = world.load();
    // First the file, then the configuration it wants.
    world
        .gateway
        .plugins()
        .rename(&wants("{\"mode\":\"new\"}", "2.0.0"), "two.so");
    world.wait_for_note(&["stamp-c@2.0.0", "is not taken", "two.so"]);
    assert_eq!(world.stamp(), "1.0.0");
    world
        .gateway
        .write_config(&config("", "{name: stamp-c, config: {mode: new}}"));
    world.wait_for_stamp("2.0.0");
    // First the configuration, then the file that takes it.
    world
        .gateway
        .write_config(&config("", "{name: stamp-c, config: {mode: newest}}"));
    world
        .gateway
        .wait_for_status("the reload to wait", |status| !status["pending"].is_null());
    assert_eq!(world.stamp(), "2.0.0");
    world
        .gateway
        .plugins()
        .rename(&wants("{\"mode\":\"newest\"}", "3.0.0"), "three.so");
    world.wait_for_stamp("3.0.0");
    load.stop_without_failure();
}

#[test]
fn the_cap_on_images_refuses_with_advice() {
    let settings = "loader: {max_images: 2}";
    let (builder, upstream) = prepared(settings, "{name: stamp}");
    let builder = builder.plugin_bytes("libstamp.so", stamp("a").bytes());
    let world = World::start(builder, upstream);
    let load = world.load();
    world
        .gateway
        .plugins()
        .copy(stamp("b").bytes(), "libstamp.so");
    world.wait_for_stamp("b");
    world
        .gateway
        .plugins()
        .copy(stamp("c").bytes(), "libstamp.so");
    world.wait_for_note(&[
        "2 images are mapped already, as many as loader.max_images allows; restart the gateway gracefully",
    ]);
    assert_eq!(world.stamp(), "b");
    assert_eq!(world.mapped().len(), 2);
    // One that is mapped already may come back.
    world
        .gateway
        .plugins()
        .copy(stamp("a").bytes(), "libstamp.so");
    world.wait_for_stamp("a");
    load.stop_without_failure();
    // A cap that was raised is in force with the reload.
    world
        .gateway
        .write_config(&config("loader: {max_images: 3}", "{name: stamp}"));
    world
        .gateway
        .plugins()
        .copy(stamp("c").bytes(), "libstamp.so");
    world.wait_for_stamp("c");
}

#[test]
fn the_highest_version_is_refused_and_the_next_one_serves() {
    let world = with_versions("*", &["1.0.0"]);
    let load = world.load();
    world
        .gateway
        .plugins()
        .rename(b"not a library at all\n", &file("2.0.0"));
    let shown = world.shown(&file("2.0.0"));
    wait_until("the refusal", || {
        crate::hostile::refusal(&world.gateway, &shown).is_some()
    });
    assert_eq!(world.stamp(), "1.0.0");
    world.put("1.5.0");
    world.wait_for_stamp("1.5.0");
    load.stop_without_failure();
}

#[test]
fn the_same_file_under_another_name_is_no_swap() {
    let world = stamped("same");
    let generation = world.gateway.generation();
    world
        .gateway
        .plugins()
        .copy(stamp("same").bytes(), "another.so");
    world.gateway.plugins().remove("libstamp.so");
    wait_until("the new name in /plugins", || {
        world.images("stamp")[0]["file"] == world.shown("another.so")
    });
    assert_eq!(world.stamp(), "same");
    assert_eq!(
        world.gateway.generation(),
        generation,
        "nothing changed for requests"
    );
    assert_eq!(world.mapped().len(), 1);
}

#[test]
fn a_folder_that_is_moved_away_and_back() {
    let world = stamped("here");
    let load = world.load();
    let plugins = world.gateway.plugins();
    let away = world.gateway.folder().join("away");
    std::fs::rename(plugins.path(), &away).expect("one file system");
    load.wait_for_more(50);
    std::fs::rename(&away, plugins.path()).expect("one file system");
    plugins.copy(stamp("later").bytes(), "libstamp.so");
    world.wait_for_stamp("later");
    load.stop_without_failure();
}

#[test]
fn a_folder_that_is_replaced_by_another_one() {
    let world = stamped("here");
    let load = world.load();
    let plugins = world.gateway.plugins();
    let away = world.gateway.folder().join("away");
    std::fs::rename(plugins.path(), away).expect("one file system");
    std::fs::create_dir(plugins.path()).expect("the name is free");
    // The watch went away with the old folder; looking now and then finds the new one.
    plugins.copy(stamp("new folder").bytes(), "libstamp.so");
    world.wait_for_stamp("new folder");
    load.stop_without_failure();
}
