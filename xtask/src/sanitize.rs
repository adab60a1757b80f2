//! The nightly toolchain, and `cargo xtask miri`: the tests of the plugin SDK where memory errors cannot hide.
//!
//! It needs that toolchain, so it is no part of `cargo xtask test`, which says whether it could run.

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

/// A command of that toolchain.
pub(crate) fn nightly(words: &[&str]) -> Command {
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

/// The machine that is built for.
pub(crate) fn host_triple() -> Outcome<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc cannot be asked for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(String::from)
        .ok_or_else(|| Failure::new("rustc does not say which machine it builds for"))
}
