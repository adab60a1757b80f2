//! `cargo xtask test`: everything CI runs, the quick refusals first, the tests and their summary last.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::cargo::{call, cargo, root, target};
use crate::failure::{Context, Failure, Outcome};
use crate::{header, licences, sanitize, tools};

/// Runs the steps and stops at the first that fails.
pub(crate) fn test(mut arguments: Arguments) -> Outcome<ExitCode> {
    let quick = arguments.flag("--quick");
    arguments.finish()?;
    let mut steps = Steps::default();
    steps.run("tools", || tools::check(!quick))?;
    if !quick {
        steps.run("format", || call_cargo(&["fmt", "--all", "--check"]))?;
        steps.run("licences", licences::check)?;
    }
    steps.run("C header", header::check)?;
    steps.run("C plugins", c_plugins)?;
    if !quick {
        steps.run("lints", || {
            call_cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])
        })?;
        steps.run("documentation", || {
            let mut command = cargo();
            command.env("RUSTDOCFLAGS", "-D warnings");
            call(
                "cargo doc",
                command.args(["doc", "--workspace", "--no-deps", "--quiet"]),
            )
        })?;
    }
    // The end-to-end tests load plugin files, which `cargo test` alone would not build. Tests are built in the same step:
    // dependencies get the features that tests ask for, and built without them they would be built twice.
    steps.run("build", || {
        call_cargo(&["build", "--workspace", "--lib", "--bins", "--tests"])
    })?;
    Steps::say_what_is_left_out();
    steps.say_times();
    let gateway = target()?.join("debug/swapgate");
    // Last, and nothing is printed after it, also when it fails: its summaries are what a reader and a machine look for.
    println!("== tests");
    let mut command = cargo();
    let tests = command
        .args(["test", "--workspace", "--no-fail-fast"])
        // The harness takes the gateway and the plugins that were just built, and does not ask cargo again.
        .env("SWAPGATE_BIN", gateway)
        .status()
        .context("cargo test cannot be started")?;
    Ok(if tests.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first step alone, for who runs single tests with `cargo test`.
pub(crate) fn tools(arguments: Arguments) -> Outcome<ExitCode> {
    arguments.finish()?;
    tools::check(true)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the examples and looks at their symbols; what is built goes to the target folder.
fn c_plugins() -> Outcome<()> {
    let build = format!("BUILD={}", target()?.join("sdk-c").display());
    call(
        "make in sdk-c",
        Command::new("make")
            .args(["-s", "-C"])
            .arg(root().join("sdk-c"))
            .args(["all", "check", &build]),
    )
}

fn call_cargo(arguments: &[&str]) -> Outcome<()> {
    call(
        &format!("cargo {}", arguments.join(" ")),
        cargo().args(arguments),
    )
}

/// What has been done, and how long each step took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
        let started = Instant::now();
        println!("== {name}");
        step().map_err(|failure| {
            Failure::new(format!(
                "step `{name}`, number {}: {failure}",
                self.0.len() + 1
            ))
        })?;
        let taken = started.elapsed();
        println!("== {name}: {:.1} s", taken.as_secs_f64());
        self.0.push((name, taken));
        Ok(())
    }

    fn say_what_is_left_out() {
        let miri = if sanitize::has_miri() {
            "`cargo xtask miri` runs it"
        } else {
            "component not installed"
        };
        let disk = if tools::may_mount() {
            ""
        } else {
            ", a full disk (only who may mount file systems, such as root, can show it)"
        };
        println!(
            "== not part of this run: AddressSanitizer (`cargo xtask asan` runs it), Miri ({miri}){disk}"
        );
    }

    fn say_times(&self) {
        let times: Vec<String> = self
            .0
            .iter()
            .map(|(name, taken)| format!("{name} {:.1} s", taken.as_secs_f64()))
            .collect();
        println!("== so far: {}", times.join(", "));
    }
}
