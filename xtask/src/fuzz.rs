//! `cargo xtask fuzz`: random bytes for everything that reads bytes, one target after the other.
//!
//! libFuzzer needs flags of the compiler that only nightly takes: the nightly toolchain is used where it is installed, else the
//! usual one told to take unstable flags. `AddressSanitizer` watches where its runtime is there; what is fuzzed is safe code
//! almost everywhere, so that doing without loses little. What libFuzzer finds lies in `tests/fuzz/libfuzzer/artifacts/`; what
//! it learned stays in `corpus/` beside it, and what is small and says something belongs into `tests/fuzz/seeds/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::sanitize::{has_nightly, nightly};
use crate::tools::answers;

/// How long each target runs unless something else is said.
const SECONDS: u64 = 60;
/// What one input may take, in seconds, and what the process may use, in MiB: a reader that is not bounded is a find.
const BOUNDS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];
/// Longest input; what is read here is short, and long inputs are slow.
const LONGEST: &str = "-max_len=8192";

/// Runs the targets that are named, or all of them.
pub(crate) fn fuzz(mut arguments: Arguments) -> Outcome<ExitCode> {
    let seconds = arguments.value("--seconds")?.unwrap_or(SECONDS);
    let workers: u32 = arguments.value("--workers")?.unwrap_or(1);
    let all = targets()?;
    let named = arguments.rest();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        return Err(Failure::new(format!(
            "there is no target {unknown:?}; there are {}",
            all.join(", ")
        )));
    }
    installed()?;
    // The same versions of everything as in the gateway.
    fs::copy(
        cargo::root().join("Cargo.lock"),
        folder().join("Cargo.lock"),
    )
    .context("the lock file of the fuzz programs cannot be written")?;
    let chosen = if named.is_empty() { all } else { named };
    let build = match &chosen[..] {
        [only] => vec![only.as_str()],
        _ => Vec::new(),
    };
    cargo::call(
        "the build of the fuzz programs",
        cargo_fuzz("build").args(build),
    )?;
    let mut broken = Vec::new();
    for target in &chosen {
        println!("== {target}: {seconds} s");
        if !run(target, seconds, workers)? {
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(format!(
        "found something in {}; the bytes are in tests/fuzz/libfuzzer/artifacts",
        broken.join(", ")
    )))
}

/// Runs one target; whether nothing was found.
fn run(target: &str, seconds: u64, workers: u32) -> Outcome<bool> {
    let corpus = folder().join("corpus").join(target);
    fs::create_dir_all(&corpus).context("the folder for what is learned cannot be made")?;
    let mut command = cargo_fuzz("run");
    command.arg(target).arg(corpus).arg(seeds().join(target));
    command
        .arg("--")
        .args(BOUNDS)
        .args([LONGEST, "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"));
    if workers > 1 {
        command.arg(format!("-fork={workers}"));
    }
    let status = command.status().context("cargo fuzz cannot be started")?;
    Ok(status.success())
}

/// `cargo fuzz WORD`, by the toolchain that can.
fn cargo_fuzz(word: &str) -> Command {
    let mut command = if has_nightly() {
        nightly(&["cargo", "fuzz", word])
    } else {
        let mut command = cargo::cargo();
        command.args(["fuzz", word]).env("RUSTC_BOOTSTRAP", "1");
        command
    };
    let sanitizer = if has_runtime() { "address" } else { "none" };
    let target = cargo::target().unwrap_or_else(|_| cargo::root().join("target"));
    command
        .current_dir(folder())
        .args(["--fuzz-dir", ".", "--sanitizer", sanitizer, "--target-dir"])
        .arg(target.join("fuzz"));
    command
}

/// Whether the toolchain brings the runtime of `AddressSanitizer`.
fn has_runtime() -> bool {
    let ask = |command: &mut Command| {
        let output = command.output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let words = ["--print", "target-libdir"];
    let libraries = if has_nightly() {
        ask(nightly(&["rustc"]).args(words))
    } else {
        ask(Command::new("rustc").args(words))
    };
    let files = libraries.and_then(|folder| fs::read_dir(folder).ok());
    files.is_some_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().contains("_rt.asan"))
        })
    })
}

/// Makes sure that cargo-fuzz is there.
fn installed() -> Outcome<()> {
    if answers("cargo-fuzz", &["--version"]) {
        return Ok(());
    }
    println!("missing: cargo-fuzz; installing");
    cargo::call(
        "the installation of cargo-fuzz",
        cargo::cargo().args(["install", "cargo-fuzz", "--locked"]),
    )
}

/// The names of all targets: each has a folder of seeds.
fn targets() -> Outcome<Vec<String>> {
    let files = fs::read_dir(seeds()).context("the seeds cannot be listed")?;
    let name = |file: fs::DirEntry| file.file_name().into_string().ok();
    let mut names: Vec<String> = files.filter_map(|file| name(file.ok()?)).collect();
    names.sort();
    Ok(names)
}

fn seeds() -> PathBuf {
    cargo::root().join("tests/fuzz/seeds")
}

fn folder() -> PathBuf {
    let root: &Path = &cargo::root();
    root.join("tests/fuzz/libfuzzer")
}
