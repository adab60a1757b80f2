//! Plugins whose code misbehaves before it serves: the preflight or the plugin's own word keeps them out, each with its own
//! sentence, while the version that serves goes on.

use serde_json::Value;
use swapgate_tests::wait_for;

use crate::hostile::refusal;
use crate::world::{World, config, faulty, plugin_check, prepared, stamp, wait_for_log};

/// A gateway that serves through stamp and faulty, which does nothing wrong yet.
fn world(settings: &str) -> World {
    let (builder, upstream) = prepared(settings, "{name: stamp}, {name: faulty}");
    let builder = builder
        .plugin_bytes("libstamp.so", stamp("good").bytes())
        .plugin_bytes("libfaulty.so", faulty().bytes());
    World::start(builder, upstream)
}

/// A file whose code goes wrong before there is a configuration.
#[track_caller]
fn check_file(fault: &str, sentence: &str) {
    let world = world("");
    let load = world.load();
    let bad = faulty().fault(fault);
    world.gateway.plugins().rename(bad.bytes(), "libfaulty.so");
    let file = world.gateway.plugins().file("libfaulty.so");
    let shown = file.display().to_string();
    let text = wait_for("the refusal", || refusal(&world.gateway, &shown));
    assert_eq!(text, format!("{shown}: {sentence}"));
    wait_for_log(&world.gateway, &text);
    let (code, said) = plugin_check(&file, &[]);
    assert_eq!(
        (code, said),
        (Some(1), format!("refused (preflight): {text}\n"))
    );
    load.wait_for_more(20);
    load.stop_without_failure();
    let serving = world.wait_for_image("faulty", "the good one to serve", |image| {
        image["state"] == "active"
    });
    assert_eq!(serving["mapped"], true);
}

#[test]
fn a_constructor_that_crashes() {
    check_file(
        "constructor=segv",
        "it crashed the preflight in a constructor (dlopen) (SIGSEGV); mend the plugin",
    );
}

#[test]
fn a_constructor_that_aborts() {
    check_file(
        "constructor=abort",
        "it crashed the preflight in a constructor (dlopen) (SIGABRT); mend the plugin",
    );
}

#[test]
fn a_constructor_that_never_returns() {
    check_file(
        "constructor=hang",
        "a constructor (dlopen) did not return within 10 s in the preflight; mend the plugin, or raise loader.preflight_timeout",
    );
}

#[test]
fn a_load_that_refuses_panics_or_crashes() {
    check_file(
        "load=refuse",
        "load failed (refused, as the test asked for); see the plugin's documentation",
    );
    check_file(
        "load=panic",
        "load panicked (panicked: the test asked for a panic); mend the plugin",
    );
    check_file(
        "load=segv",
        "it crashed the preflight in load (SIGSEGV); mend the plugin",
    );
}

/// The last change, once it was refused.
fn refused_change(world: &World) -> Value {
    let status = world
        .gateway
        .wait_for_status("the refused reload", |status| {
            status["last_change"]["outcome"] == "refused"
        });
    status["last_change"].clone()
}

/// A configuration with which the plugin cannot serve: the reload is refused with a sentence that ends like this.
#[track_caller]
fn check_config(settings: &str, faulty_config: &str, sentence: &str) {
    let world = world(settings);
    let load = world.load();
    let before = world.gateway.generation();
    let plugins = format!("{{name: stamp}}, {{name: faulty, config: {{{faulty_config}}}}}");
    world.gateway.write_config(&config(settings, &plugins));
    let change = refused_change(&world);
    let errors = change["errors"].as_array().expect("a list");
    let [error] = &errors[..] else {
        panic!("one sentence is enough: {errors:#?}");
    };
    let error = error.as_str().expect("a text");
    assert!(error.contains(sentence), "{error}");
    assert!(error.contains("swapgate.yaml:"), "no place: {error}");
    wait_for_log(&world.gateway, error);
    load.wait_for_more(20);
    load.stop_without_failure();
    assert_eq!(
        world.gateway.generation(),
        before,
        "something was published"
    );
    // The next good configuration is taken.
    world
        .gateway
        .write_config(&config(settings, "{name: stamp}"));
    world.gateway.wait_for_generation_after(before);
    assert_eq!(world.gateway.status()["pending"], Value::Null);
}

#[test]
fn a_configure_that_refuses() {
    check_config(
        "",
        "configure: refuse",
        "the plugin faulty refused this configuration, refused, as the test asked for",
    );
}

#[test]
fn a_configure_that_panics() {
    check_config(
        "",
        "configure: panic",
        "libfaulty.so: configure panicked (panicked: the test asked for a panic); mend the plugin",
    );
}

#[test]
fn a_configure_that_crashes() {
    check_config(
        "",
        "configure: segv",
        "libfaulty.so: it crashed the preflight in configure (SIGSEGV); mend the plugin",
    );
    check_config(
        "",
        "configure: {exit: 0}",
        "libfaulty.so: it crashed the preflight in configure (it ended the process with code 0); mend the plugin",
    );
}

#[test]
fn a_configure_that_never_returns() {
    check_config(
        "loader: {preflight_timeout: 1s}",
        "configure: hang",
        "libfaulty.so: configure did not return within 1 s in the preflight; mend the plugin, or raise \
         loader.preflight_timeout",
    );
}

#[test]
fn a_hook_that_panics_or_hangs_in_the_preflight() {
    check_config(
        "",
        "access: panic",
        "libfaulty.so: access panicked (panicked: the test asked for a panic",
    );
    check_config(
        "",
        "access: {code: 77}",
        "libfaulty.so: access answered the unknown code 77; mend the plugin",
    );
    check_config(
        "loader: {preflight_timeout: 1s}",
        "destroy: hang",
        "libfaulty.so: destroy did not return within 1 s in the preflight",
    );
}

#[test]
fn a_configuration_against_the_schema() {
    check_config(
        "",
        "acces: panic",
        "routes[0].plugins[1].config.acces: this key is not known (by the schema of plugin faulty): found \"acces\"",
    );
}

#[test]
fn a_start_that_refuses_panics_or_hangs() {
    // The preflight never calls `start`: this happens in the serving process.
    check_config(
        "",
        "start: refuse",
        "libfaulty.so: start failed (refused, as the test asked for); see the plugin's documentation",
    );
    check_config(
        "",
        "start: panic",
        "libfaulty.so: start panicked (panicked: the test asked for a panic",
    );
    check_config(
        "loader: {call_timeout: 1s}",
        "start: hang",
        "libfaulty.so: start did not return within 1 s and keeps its thread; the plugin stays as it is until the \
         gateway restarts",
    );
}
