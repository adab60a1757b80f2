//! The stamp plugin as other people's compilers make it: another optimisation level, another layout of Rust's own types,
//! another panic strategy. Only the contract may hold gateway and plugin together, so all but the last must work.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use swapgate_tests::{Patched, artifacts};

use crate::world::{World, stamped, stripped};

/// Builds the stamp plugin with these further arguments of the compiler, in a target folder of its own.
///
/// Layouts are randomised and the level is 2 in all of them, so that its dependencies are built once.
fn build(arguments: &[&str]) -> Vec<u8> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, host) = (folder(), host());
    let flags = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        host.to_uppercase().replace('-', "_")
    );
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(artifacts::root())
        // Nightly options on the stable compiler: the one way to have layouts differ.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env(flags, "-Zrandomize-layout")
        .args([
            "rustc",
            "--quiet",
            "--profile",
            "dev",
            "--package",
            "swapgate-stamp",
            "--lib",
        ])
        // With a target named, these flags spare build scripts and macros.
        .args(["--crate-type", "cdylib", "--target", &host])
        .arg("--target-dir")
        .arg(&folder)
        .arg("--")
        .args(arguments)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the variant cannot be built");
    fs::read(folder.join(host).join("debug/libstamp.so")).expect("cargo built it")
}

/// The plugin built with `panic = "abort"`.
pub(crate) fn panic_abort() -> Vec<u8> {
    build(&["-Cpanic=abort"])
}

/// Beside the profiles of the workspace, so that `cargo clean` removes it and caches keep it.
fn folder() -> PathBuf {
    let profile = artifacts::plugin("stamp");
    let target = profile.parent().and_then(std::path::Path::parent);
    target
        .expect("profiles stand in the target folder")
        .join("variants")
}

/// The triple these tests run on.
fn host() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc knows its host").to_owned()
}

#[test]
fn another_optimisation_level_and_random_layouts_serve() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let file = folder.path().join("variant.so");
    fs::write(&file, build(&[])).expect("the folder is ours");
    let variant = Patched::read(&file).stamp("variant");
    assert_ne!(variant.bytes().len(), stripped("stamp").bytes().len());

    let world: World = stamped("plain");
    let load = world.load();
    world
        .gateway
        .plugins()
        .rename(variant.bytes(), "libstamp.so");
    world.wait_for_stamp("variant");
    load.wait_for_more(50);
    load.stop_without_failure();
    let active = world.wait_for_image("stamp", "the variant to be active", |image| {
        image["state"] == "active"
    });
    assert_eq!(active["door"], "rust", "{active}");
}
