//! The soak of `cargo xtask soak` in short, by the same code: everything that clients do beside every kind of change, right
//! and wrong. The command runs for ten minutes with optimised programs, and more of everything.

use std::process::Command;
use std::time::Duration;

use swapgate_tests::{Running, artifacts};

/// Percent by which anonymous memory at rest may differ. A short warm-up has not seen every size of everything yet, and where the
/// machine stalls the load catches up with more requests at once than before: 14 % was met so, most of it by the eighth change.
const MEMORY: &str = "25";
/// How long all of it may take, most of which is waiting for the changes on a machine that is busy. No expectation about
/// speed.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn nothing_is_lost_beside_sixty_reloads_and_fifteen_swaps() {
    let program = artifacts::bench_program("bench-lasting");
    let programs = program.parent().expect("a program stands in a folder");
    let mut command = Command::new(artifacts::xtask());
    command
        .args(["soak", "--seconds", "12", "--download-mb", "64"])
        .args(["--reloads", "60", "--swaps", "15", "--digests", "3"])
        .args(["--connections", "8", "--memory", MEMORY, "--programs"])
        .arg(programs);
    let finished = Running::start(&mut command).finish_within(LIMIT);
    let said = finished.success().text();
    assert!(said.ends_with("everything is as it should be\n"), "{said}");
}
