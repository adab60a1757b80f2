//! `cargo xtask mutants`: whether the unit tests of the modules that decide about paths, headers and limits see it when one of
//! those decisions is changed.
//!
//! cargo-mutants changes one thing at a time, builds the library and runs the unit tests of the room. What is left alive is
//! listed in `docs/mutants.md`, with why.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::tools::answers;

/// A module with what stands in its folder, and which unit tests are about it.
const MODULES: [(&str, &str); 13] = [
    ("activity", "activity::"),
    ("router/path", "router::path::"),
    ("exchange/ingress", "exchange::ingress::"),
    ("exchange/forwarding", "exchange::forwarding::"),
    ("context/headers", "context::headers::"),
    ("context/trailers", "context::trailers::"),
    ("upstream/flaw", "upstream::flaw::"),
    ("listener/identity", "listener::identity::"),
    ("listener/guard", "listener::guard::"),
    ("listener/proxy/v1", "listener::proxy::"),
    ("listener/proxy/v2", "listener::proxy::"),
    ("admission/gate", "admission::gate::"),
    ("admission/overload", "admission::overload::"),
];

/// The least share of the mutants of a module that must be caught, in percent.
const LEAST: usize = 85;

/// The exit codes with which cargo-mutants has tried everything: all were caught, some were missed, some made the tests run on
/// and on. Every other one says that it did not get so far (4: the tests fail without any change).
const TRIED: [i32; 3] = [0, 2, 3];

/// Tries the modules that are named, or all of them.
pub(crate) fn mutants(mut arguments: Arguments) -> Outcome<ExitCode> {
    let jobs: u32 = arguments.value("--jobs")?.unwrap_or(1);
    let named = arguments.rest();
    let known = |name: &String| MODULES.iter().any(|(module, _)| module == name);
    if let Some(unknown) = named.iter().find(|name| !known(name)) {
        let all: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
        return Err(Failure::new(format!(
            "{unknown:?} is none of the modules that are tried: {}",
            all.join(", ")
        )));
    }
    installed()?;
    let mut few = Vec::new();
    for (module, tests) in MODULES {
        if named.is_empty() || named.iter().any(|name| name == module) {
            let (caught, all) = tried(module, tests, jobs)?;
            println!("== {module}: {caught} of {all} caught");
            if caught * 100 < all * LEAST {
                few.push(module);
            }
        }
    }
    if few.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(format!(
        "fewer than {LEAST} % of the mutants were caught in {}; target/mutants has them",
        few.join(", ")
    )))
}

/// Tries one module: how many mutants were caught, and how many there were that compile.
fn tried(module: &str, tests: &str, jobs: u32) -> Outcome<(usize, usize)> {
    let results = cargo::target()?.join("mutants").join(module);
    fs::create_dir_all(&results).context("the folder for the results cannot be made")?;
    let mut command = cargo::cargo();
    command
        .args([
            "mutants",
            "--package",
            "swapgate",
            "--timeout",
            "120",
            "--cargo-arg=--lib",
        ])
        .arg("--file")
        .arg(format!("host/src/{module}.rs"))
        .arg("--file")
        .arg(format!("host/src/{module}/**/*.rs"))
        .arg("--jobs")
        .arg(jobs.to_string())
        .arg("--output")
        .arg(&results)
        .args(["--", tests])
        // Line numbers cost a third of a build, and nobody looks at them here.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
    let status = command
        .status()
        .context("cargo mutants cannot be started")?;
    if !status.code().is_some_and(|code| TRIED.contains(&code)) {
        // What lies in the folder is then of another run, or of none.
        return Err(Failure::new(format!(
            "cargo mutants did not try {module} ({status}); what it printed above says why: most often the unit tests \
             {tests} fail without any change"
        )));
    }
    let results = results.join("mutants.out");
    let caught = lines(&results.join("caught.txt"))? + lines(&results.join("timeout.txt"))?;
    counted(module, caught, lines(&results.join("missed.txt"))?)
}

/// How many were caught, and of how many; where there was nothing to catch, nothing is shown.
fn counted(module: &str, caught: usize, missed: usize) -> Outcome<(usize, usize)> {
    match caught + missed {
        0 => Err(Failure::new(format!(
            "cargo mutants found nothing to change in host/src/{module}.rs; xtask/src/mutants.rs must name the file that decides"
        ))),
        all => Ok((caught, all)),
    }
}

fn lines(file: &Path) -> Outcome<usize> {
    let text = fs::read_to_string(file).context("cargo mutants left no result")?;
    Ok(text.lines().count())
}

/// Makes sure that cargo-mutants is there.
fn installed() -> Outcome<()> {
    if answers("cargo-mutants", &["--version"]) {
        return Ok(());
    }
    println!("missing: cargo-mutants; installing");
    cargo::call(
        "the installation of cargo-mutants",
        cargo::cargo().args(["install", "cargo-mutants", "--locked"]),
    )
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn nothing_to_change_is_no_success() {
        assert_eq!(counted("a", 3, 1).unwrap(), (3, 4));
        let failure = counted("router/path", 0, 0).unwrap_err().to_string();
        assert!(failure.contains("host/src/router/path.rs"), "{failure}");
    }
}
