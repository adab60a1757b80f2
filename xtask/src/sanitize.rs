//! `cargo xtask asan` and `cargo xtask miri`: the tests of the plugin SDK where memory errors cannot hide.
//!
//! Both need the nightly toolchain, so they are no part of `cargo xtask test`, which says whether they could run.

use std::process::{Command, ExitCode, Stdio};

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};

/// The crates with unsafe code that can be tested without a gateway.
const PACKAGES: [&str; 4] = ["--package", "swapgate-plugin", "--package", "swapgate-abi"];

/// Whether the nightly toolchain is installed.
pub(crate) fn has_nightly() -> bool {
    answers(&["cargo", "--version"])
}

/// Whether the nightly toolchain has Miri.
pub(crate) fn has_miri() -> bool {
    answers(&["cargo", "miri", "--version"])
}

/// Runs the tests with AddressSanitizer.
pub(crate) fn asan(arguments: Arguments) -> Outcome<ExitCode> {
    arguments.finish()?;
    if !has_nightly() {
        return Err(Failure::new(
            "AddressSanitizer needs the nightly toolchain: `rustup toolchain install nightly`",
        ));
    }
    let triple = host_triple()?;
    let mut command = nightly(&["cargo", "test", "--lib", "--tests", "--target", &triple]);
    command.args(PACKAGES);
    // A target folder of its own, because other flags would throw away what the everyday one holds.
    command
        .arg("--target-dir")
        .arg(cargo::target()?.join("asan"));
    command.env("RUSTFLAGS", "-Zsanitizer=address");
    // Interned names of plugins are kept for ever on purpose, and leaks are the soaks' concern.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    cargo::call("the test run with AddressSanitizer", &mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the tests in Miri.
pub(crate) fn miri(arguments: Arguments) -> Outcome<ExitCode> {
    arguments.finish()?;
    if !has_miri() {
        return Err(Failure::new(
            "Miri is not installed: `rustup +nightly component add miri rust-src`",
        ));
    }
    let mut command = nightly(&["cargo", "miri", "test", "--lib", "--tests"]);
    command
        .args(PACKAGES)
        .arg("--target-dir")
        .arg(cargo::target()?.join("miri"));
    cargo::call("the test run in Miri", &mut command)?;
    Ok(ExitCode::SUCCESS)
}

fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly"])
        .args(words)
        .current_dir(cargo::root());
    // Set by the toolchain this program was started with, and wrong for another one.
    ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"]
        .iter()
        .for_each(|name| {
            command.env_remove(name);
        });
    command
}

fn answers(words: &[&str]) -> bool {
    let mut command = nightly(words);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn host_triple() -> Outcome<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc cannot be asked for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(String::from)
        .ok_or_else(|| Failure::new("rustc does not say which machine it builds for"))
}
