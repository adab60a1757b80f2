//! Builds, always with the same selection of packages, so that no command compiles a dependency a second time because
//! another one asked for other features of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure, Outcome};

/// What the release commands build from.
const PACKAGES: [&str; 8] = [
    "swapgate",
    "swapgate-key-auth",
    "swapgate-headers",
    "swapgate-rate-limit",
    "swapgate-access-log",
    "swapgate-stamp",
    "swapgate-pass",
    "swapgate-bench",
];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The target folder; this program stands in `<target>/<profile>/`.
pub(crate) fn target() -> Outcome<PathBuf> {
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let target = this.parent().and_then(Path::parent);
    target
        .map(Path::to_owned)
        .ok_or_else(|| Failure::new("this program does not stand in a target folder"))
}

/// A command of the cargo that runs this program.
///
/// What that cargo says of this package is not passed on: there are build scripts (ring's) that run again when it differs, and
/// then everything above them is compiled twice, once from here and once from a shell.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    let of_package = |name: &str| {
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Builds gateway and plugins with optimisation, and of the bench programs those in `programs`.
pub(crate) fn build_release(programs: &[&str]) -> Outcome<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--lib", "--bin", "swapgate"]);
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    call("the release build", &mut command)?;
    Ok(target()?.join("release"))
}

/// Builds the bench programs alone.
pub(crate) fn build_programs(programs: &[&str]) -> Outcome<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--package", "swapgate-bench"]);
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    call("the release build", &mut command)?;
    Ok(target()?.join("release"))
}

/// Runs a command in the foreground; anything but success is a failure that names it.
pub(crate) fn call(name: &str, command: &mut Command) -> Outcome<()> {
    let status = command.status().context(format_args!(
        "{name} cannot be started ({})",
        command.get_program().display()
    ))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{name} failed ({status})")))
    }
}
