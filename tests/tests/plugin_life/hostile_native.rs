//! Plugins in C and C++ that break the rules of the contract: each is told so, refused, or kept where it does no harm, and
//! the gateway serves on.

use std::fs;
use std::process::Command;

use swapgate_tests::{Gateway, Response, artifacts, wait_for, wait_until};

use crate::world::{World, config, plugin_check, prepared, stamp, wait_for_log};

/// Compiles a fixture with these definitions.
#[track_caller]
fn fixture(name: &str, definitions: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let file = folder.path().join("fixture.so");
    let (compiler, standard) = match name.rsplit_once('.') {
        Some((_, "cpp")) => ("c++", "-std=c++17"),
        _ => ("cc", "-std=c11"),
    };
    let status = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC"])
        .args(["-shared", "-fvisibility=hidden", "-pthread"])
        .args(definitions)
        .arg("-I")
        .arg(artifacts::root().join("sdk-c/include"))
        .arg("-o")
        .args([&file, &artifacts::root().join("tests/fixtures").join(name)])
        .status()
        .expect("compilers for C and C++ are installed");
    assert!(status.success(), "{compiler} refused {name}");
    fs::read(file).expect("the compiler wrote it")
}

/// A gateway that serves through stamp and this plugin.
fn serving(bytes: &[u8], plugin: &str) -> World {
    let (builder, upstream) = prepared("", &format!("{{name: stamp}}, {{name: {plugin}}}"));
    let builder = builder
        .plugin_bytes("libstamp.so", stamp("good").bytes())
        .plugin_bytes("libhostile.so", bytes);
    World::start(builder, upstream)
}

fn asked(gateway: &Gateway, header: &str) -> Response {
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: test\r\n{header}\r\n\r\n"));
    client.expect_response()
}

/// What the plugin was told: words STEP=CODE.
#[track_caller]
fn told(gateway: &Gateway, what: &str) -> Vec<(String, i32)> {
    let answer = asked(gateway, &format!("x-do: {what}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let words = text.split_whitespace().map(|word| {
        let (step, code) = word.split_once('=').expect("STEP=CODE");
        (step.to_owned(), code.parse().expect("a number"))
    });
    words.collect()
}

const INVALID: i32 = -3;
const STALE: i32 = -5;
const WRONG_THREAD: i32 = -6;

#[test]
fn null_with_a_length_and_no_room_for_an_answer_are_malformed() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    let told = told(&world.gateway, "nulls");
    assert!(told.len() > 20, "{told:?}");
    for (step, code) in told {
        assert_eq!(code, INVALID, "{step}");
    }
    assert_eq!(world.stamp(), "good");
}

#[test]
fn so_are_they_in_what_is_about_waiting_and_in_the_larger_areas() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    let told = told(&world.gateway, "waiting-nulls");
    assert_eq!(told.len(), 16, "{told:?}");
    let wrong: Vec<_> = told.iter().filter(|(_, code)| *code != INVALID).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(world.stamp(), "good");
}

#[test]
fn a_structure_that_is_too_short_is_malformed_and_a_longer_one_is_read_as_far_as_it_is_known() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    for (step, code) in told(&world.gateway, "sizes") {
        assert_eq!(code, if step == "short" { INVALID } else { 0 }, "{step}");
    }
    assert_eq!(world.stamp(), "good");
}

#[test]
fn waiting_on_a_thread_without_a_hook_is_refused_and_waking_is_not() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    let told = told(&world.gateway, "waiting-thread");
    assert_eq!(told.len(), 5, "{told:?}");
    for (step, code) in told {
        let expected = if step == "wake" { STALE } else { WRONG_THREAD };
        assert_eq!(code, expected, "{step}");
    }
    assert_eq!(world.stamp(), "good");
}

#[test]
fn a_call_from_a_thread_without_a_hook_is_told_so() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    let told = told(&world.gateway, "thread");
    assert_eq!(told.len(), 9, "{told:?}");
    for (step, code) in told {
        let expected = if step == "log" { 0 } else { WRONG_THREAD };
        assert_eq!(code, expected, "{step}");
    }
    wait_for_log(&world.gateway, "from elsewhere");
    assert_eq!(world.stamp(), "good");
}

#[test]
fn no_function_of_the_gateway_calls_back_into_the_plugin() {
    let world = serving(&fixture("hostile.c", &[]), "hostile-c");
    let code = |told: &[(String, i32)], step: &str| {
        told.iter().find(|(name, _)| name == step).expect(step).1
    };
    let during = told(&world.gateway, "states");
    assert_eq!((code(&during, "first"), code(&during, "second")), (0, 0));
    assert_eq!(code(&during, "released"), 0, "while the hook ran");
    let after = wait_for("both to be released", || {
        let after = told(&world.gateway, "count");
        (code(&after, "released") >= 2).then_some(after)
    });
    assert_eq!(
        (code(&after, "released"), code(&after, "reentered")),
        (2, 0)
    );
}

#[test]
fn a_table_that_says_it_is_too_short_is_refused_and_a_longer_one_is_read_as_far_as_it_is_known() {
    let scratch = tempfile::tempdir().expect("the system has a temporary folder");
    let file = scratch.path().join("libshort.so");
    for (size, shown) in [
        ("0", 0),
        ("1", 1),
        ("3", 3),
        ("sizeof(sg_plugin) - 1", 247),
        ("sizeof(sg_plugin) / 2 + 1", 125),
    ] {
        let bytes = fixture("hostile.c", &[&format!("-DTABLE_SIZE=({size})")]);
        fs::write(&file, bytes).expect("the folder is ours");
        let (code, said) = plugin_check(&file, &[]);
        let expected = format!(
            "refused (preflight): {}: its table of functions is wrong: its struct_size is {shown}, below 248; mend the \
             plugin\n",
            file.display()
        );
        assert_eq!((code, said), (Some(1), expected));
    }
    for size in ["sizeof(sg_plugin) + 64", "0xffffffffu"] {
        let longer = fixture("hostile.c", &[&format!("-DTABLE_SIZE=({size})")]);
        let world = serving(&longer, "hostile-c");
        assert_eq!(told(&world.gateway, "count").len(), 2);
    }
}

#[test]
fn a_thread_left_running_keeps_its_image_and_nothing_else() {
    let world = serving(&fixture("hostile.c", &["-DOWN_THREAD"]), "hostile-c");
    let load = world.load();
    load.wait_for_more(20);
    world.gateway.write_config(&config("", "{name: stamp}"));
    let image = world.wait_for_image("hostile-c", "the image to be left", |image| {
        image["state"] == "resident"
    });
    assert_eq!(image["mapped"], true, "{image}");
    let why = image["reasons"].to_string();
    assert!(why.contains("pthread_create"), "{why}");
    // It goes on calling, with tokens of nothing, and harms nobody.
    load.wait_for_more(200);
    load.stop_without_failure();
    assert_eq!(world.gateway.admin("/healthz").status, 200);
    // Back into use, it is the same mapping.
    world
        .gateway
        .write_config(&config("", "{name: stamp}, {name: hostile-c}"));
    world.wait_for_image("hostile-c", "it to serve again", |image| {
        image["state"] == "active"
    });
    assert_eq!(told(&world.gateway, "count").len(), 2);
}

/// A plugin that lets an exception out ends the preflight, and never gets into the process that serves.
#[track_caller]
fn check_thrown(definitions: &[&str], last_words: &str) {
    let (builder, upstream) = prepared("", "{name: stamp}");
    let builder = builder
        .plugin_bytes("libstamp.so", stamp("good").bytes())
        .plugin_bytes("libhostile.so", &fixture("throws.cpp", definitions));
    let world = World::start(builder, upstream);
    let load = world.load();
    world
        .gateway
        .write_config(&config("", "{name: stamp}, {name: throws}"));
    wait_for_log(
        &world.gateway,
        &format!(
            "libhostile.so: it crashed the preflight in access (SIGABRT), saying \"{last_words}\"; mend the plugin"
        ),
    );
    load.wait_for_more(20);
    load.stop_without_failure();
    assert_eq!(world.stamp(), "good");
}

#[test]
fn an_exception_out_of_a_hook_ends_the_preflight_and_not_the_gateway() {
    check_thrown(
        &[],
        "fatal runtime error: Rust cannot catch foreign exceptions, aborting",
    );
}

#[test]
fn an_exception_out_of_a_hook_that_is_noexcept_ends_the_preflight_and_not_the_gateway() {
    check_thrown(
        &["-DNOEXCEPT"],
        "terminate called after throwing an instance of 'int'",
    );
}

#[test]
fn behind_the_barrier_of_the_header_for_cpp_an_exception_is_a_failed_hook() {
    let world = serving(&fixture("throws.cpp", &["-DBARRIER"]), "throws");
    for (what, why) in [
        ("error", "thrown on purpose"),
        ("exception", "thrown by mistake"),
        ("number", "an exception that is no std::exception"),
        ("host", "header_set answered -7"),
        ("code", "77"),
    ] {
        let answer = asked(&world.gateway, &format!("x-throw: {what}"));
        assert_eq!(answer.status, 500, "{what}: {answer:?}");
        wait_for_log(&world.gateway, why);
    }
    // A destructor that throws as well, of what was left in the exchange.
    assert_eq!(asked(&world.gateway, "x-throw: bomb").status, 200);
    wait_for_log(&world.gateway, "thrown by request_end");
    assert_eq!(world.stamp(), "good");
    // And that of the instance, when it goes.
    world.gateway.write_config(&config("", "{name: stamp}"));
    world.wait_for_image("throws", "the image to be left", |image| {
        image["state"] == "resident"
    });
    wait_until("it to serve on", || world.stamp() == "good");
}
