//! The frozen copies of earlier minors: nobody changed them, each is whole, and what they build is refused with the one
//! text, by the command line and in the folder. From 1.0 on they will have to run instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use swapgate_abi::{ABI_MAJOR, ABI_MINOR};
use swapgate_tests::{artifacts, wait_for};

use crate::hostile::refusal;
use crate::world::{plugin_check, stamped, wait_for_log};

/// The fixtures that each minor has, and the ids in them.
const FIXTURES: [&str; 3] = ["minimal", "stamp", "conformance"];

fn frozen() -> PathBuf {
    artifacts::root().join("sdk-c/frozen")
}

/// The minors that are over: every one below this gateway's.
fn minors() -> Vec<String> {
    (1..ABI_MINOR)
        .map(|minor| format!("{ABI_MAJOR}.{minor}"))
        .collect()
}

/// Builds a fixture with the header of its own minor.
#[track_caller]
fn build(minor: &str, name: &str, into: &Path) -> Vec<u8> {
    let folder = frozen().join(minor);
    let file = into.join(format!("{name}.so"));
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC"])
        .args(["-fvisibility=hidden", "-shared", "-I"])
        .arg(folder.join("include"))
        .arg("-o")
        .args([&file, &folder.join("examples").join(format!("{name}.c"))])
        .status()
        .expect("a C compiler is installed");
    assert!(status.success(), "{minor}/{name} does not build any more");
    fs::read(file).expect("the compiler wrote it")
}

#[test]
fn every_minor_that_is_over_is_frozen_and_nobody_changed_it() {
    let entries = fs::read_dir(frozen()).expect("the folder is there");
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("readable").file_name().into_string())
        .map(|name| name.expect("plain names"))
        .filter(|name| name != "SHA256SUMS")
        .collect();
    found.sort();
    assert_eq!(found, minors(), "the folders below sdk-c/frozen");
    let checked = Command::new("sha256sum")
        .current_dir(frozen())
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .output()
        .expect("sha256sum is part of every Linux");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "changed: {said}");
    let listed = fs::read_to_string(frozen().join("SHA256SUMS")).expect("it is there");
    for minor in minors() {
        let of_it = listed.lines().filter(|line| line.contains(&minor)).count();
        // Two headers, the table of layouts, and the fixtures.
        assert_eq!(of_it, 3 + FIXTURES.len(), "the files of {minor}");
    }
}

#[test]
fn every_frozen_fixture_is_refused_with_the_one_text() {
    let scratch = tempfile::tempdir().expect("the system has a temporary folder");
    let world = stamped("good");
    let load = world.load();
    let offered = format!("{ABI_MAJOR}.{ABI_MINOR}");
    let minors = minors();
    let all = || minors.iter().flat_map(|m| FIXTURES.map(|name| (m, name)));
    let file_name = |minor: &str, name: &str| format!("lib{name}-{minor}.so");
    // All at once, so that the folder is quiet once and not six times.
    for (minor, name) in all() {
        let bytes = build(minor, name, scratch.path());
        world
            .gateway
            .plugins()
            .rename(&bytes, &file_name(minor, name));
    }
    for (minor, name) in all() {
        let file_name = file_name(minor, name);
        let shown = world.shown(&file_name);
        let expected = format!(
            "{shown}: plugin {name}-c 0.1.0 needs plugin contract {minor}, this gateway (swapgate {}) offers \
                 {offered}; build the plugin for {offered}",
            env!("CARGO_PKG_VERSION")
        );
        let text = wait_for("the refusal", || refusal(&world.gateway, &shown));
        assert_eq!(text, expected);
        wait_for_log(&world.gateway, &expected);
        let (code, said) = plugin_check(&world.gateway.plugins().file(&file_name), &[]);
        assert_eq!(
            (code, said),
            (Some(1), format!("refused (inspect): {expected}\n"))
        );
    }
    load.wait_for_more(20);
    load.stop_without_failure();
    assert_eq!(world.stamp(), "good");
}
