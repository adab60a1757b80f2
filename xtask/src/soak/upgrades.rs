//! `cargo xtask soak --upgrades N`: as many upgrades in a row, under load of every kind, one of ten with a new process that
//! crashes on its start; without and with `--supervised`. The case is that of the tests (`tests/tests/upgrade/many.rs`), which is short.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo::{call, cargo};
use crate::failure::Outcome;

/// Runs it.
pub(super) fn soak(arguments: Arguments, count: u32) -> Outcome<ExitCode> {
    arguments.finish()?;
    let mut test = cargo();
    test.args(["test", "--package", "swapgate-tests", "--test", "upgrade"]);
    test.args(["--", "many", "--nocapture", "--test-threads", "1"]);
    test.env("SWAPGATE_UPGRADES", count.to_string());
    call("cargo test", &mut test)?;
    Ok(ExitCode::SUCCESS)
}
