//! The Python packages that the tests' clients and servers are written with, in an environment of their own.
//!
//! Nothing outside of the target folder changes, and a second run compares two small files and is done. The tests know the
//! same two paths (`tests/src/python.rs`).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo::{call, root, target};
use crate::failure::{Context, Failure, Outcome};
use crate::tools::{answers, install};

/// Makes sure that the environment is there, with exactly the packages that the repository names.
pub(crate) fn check() -> Outcome<()> {
    let wanted = root().join("tests/python/requirements.txt");
    let environment = target()?.join("python");
    // Written last, so that an installation that was interrupted does not count.
    let installed = environment.join("requirements.txt");
    let list = fs::read(&wanted).context(wanted.display())?;
    if fs::read(&installed).is_ok_and(|before| before == list) {
        return Ok(());
    }
    println!("missing: the Python packages of the tests; installing into the target folder");
    create(&environment)?;
    call(
        "pip install",
        Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            // A package that had to be compiled would need more tools, and a long time.
            .args(["--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"])
            .arg("--requirement")
            .arg(&wanted),
    )
    .map_err(|failure| {
        Failure::new(format!(
            "{failure}: the clients and servers in tests/python need these packages; see that pip reaches a package \
             index, or put their wheels into a folder and name it in PIP_FIND_LINKS"
        ))
    })?;
    fs::write(&installed, list).context(installed.display())
}

/// An empty environment; what was there before goes.
fn create(environment: &Path) -> Outcome<()> {
    if environment.exists() {
        fs::remove_dir_all(environment).context(environment.display())?;
    }
    // Debian has the parts of Python that make environments in a package of their own.
    if !answers("python3", &["-c", "import ensurepip, venv"]) {
        install(
            &["python3", "python3-venv"],
            "python3 with venv (for real clients and servers)",
        )?;
    }
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(environment);
    call("python3 -m venv", command.stdout(Stdio::null()))
}
