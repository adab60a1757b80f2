//! The soaks that are cases of the tests in their long form: `--upgrades N`, `--calls`, `--faults N`, `--idle N`. A test run has
//! the same cases, short, and says nothing there about times, which are those of whatever else the machine does.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo::{call, cargo};
use crate::failure::{Failure, Outcome};

/// A case in its long form.
struct Case {
    /// The test program of `tests/tests`, and which of its cases.
    test: &'static str,
    filter: &'static str,
    /// What tells them to be long, and how long.
    variable: &'static str,
    count: u32,
}

/// As many upgrades in a row, under load of every kind, one of ten with a new process that crashes on its start; without and
/// with `--supervised`.
pub(super) fn upgrades(arguments: Arguments, count: u32) -> Outcome<ExitCode> {
    let (test, filter, variable) = ("upgrade", "many", "SWAPGATE_UPGRADES");
    run(
        arguments,
        &Case {
            test,
            filter,
            variable,
            count,
        },
    )
}

/// Every system call of the tests fails from its first to its twentieth time.
pub(super) fn calls(arguments: Arguments) -> Outcome<ExitCode> {
    run(
        arguments,
        &Case {
            test: "system_calls",
            filter: "",
            variable: "SWAPGATE_EVERY_CALL",
            count: 1,
        },
    )
}

/// Targets are killed so often under each of the settings that docs/balancing.md recommends: out within a second, back
/// within five.
pub(super) fn faults(arguments: Arguments, count: u32) -> Outcome<ExitCode> {
    run(
        arguments,
        &Case {
            test: "faults",
            filter: "recommended",
            variable: "SWAPGATE_KILLS",
            count,
        },
    )
}

/// Requests are timed alone and beside idle connections, in turn, so many times.
pub(super) fn idle(arguments: Arguments, count: u32) -> Outcome<ExitCode> {
    run(
        arguments,
        &Case {
            test: "crowd",
            filter: "idle",
            variable: "SWAPGATE_IDLE_ROUNDS",
            count,
        },
    )
}

fn run(arguments: Arguments, case: &Case) -> Outcome<ExitCode> {
    arguments.finish()?;
    if case.count == 0 {
        return Err(Failure::new("0 times would show nothing; say how often"));
    }
    let mut test = cargo();
    test.args(["test", "--package", "swapgate-tests", "--test", case.test]);
    test.args(["--", case.filter, "--nocapture", "--test-threads", "1"]);
    test.env(case.variable, case.count.to_string());
    call("cargo test", &mut test)?;
    Ok(ExitCode::SUCCESS)
}
