//! Builds what the tests run: the gateway and the plugins, once for each test program.
//!
//! Cargo does not build the binary of another package for a plain `cargo test -p swapgate-tests`, so it is asked to, and
//! does nothing when all is fresh. `SWAPGATE_BIN` names a gateway that exists already; then nothing is built, and the
//! plugins are taken from the folder it stands in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The gateway's binary.
///
/// # Panics
/// When it cannot be built; the compiler's errors are in the output.
#[must_use]
pub fn gateway() -> &'static Path {
    static GATEWAY: OnceLock<PathBuf> = OnceLock::new();
    GATEWAY.get_or_init(|| match env::var_os("SWAPGATE_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let plugins = plugin_packages();
            let mut packages = vec!["--package", "swapgate"];
            packages.extend(plugins.iter().flat_map(|package| ["--package", package]));
            build(&packages);
            profile_dir().join("swapgate")
        }
    })
}

/// The file of a Rust plugin of this repository, by the name of its library: `key_auth`.
///
/// # Panics
/// When there is no such file.
#[must_use]
#[track_caller]
pub fn plugin(library: &str) -> PathBuf {
    let folder = gateway().parent().expect("the binary stands in a folder");
    let file = folder.join(format!("lib{library}.so"));
    assert!(file.is_file(), "no plugin file {}", file.display());
    file
}

/// A program of the benchmarks, by its name: `bench-load`.
///
/// # Panics
/// When it cannot be built; the compiler's errors are in the output.
#[must_use]
pub fn bench_program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = gateway().parent().expect("the binary stands in a folder");
        if env::var_os("SWAPGATE_BIN").is_some() {
            return folder.to_owned();
        }
        build(&["--package", "swapgate-bench", "--bins"]);
        profile_dir()
    });
    let file = folder.join(name);
    assert!(file.is_file(), "no program {}", file.display());
    file
}

/// The program behind `cargo xtask`, for what a command and a test both do.
///
/// # Panics
/// When it cannot be built; the compiler's errors are in the output.
#[must_use]
pub fn xtask() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--package", "xtask"]));
    profile_dir().join("xtask")
}

/// Compiles one C file as a plugin, with the symbol hygiene the contract asks for, and returns the file.
///
/// # Panics
/// When the compiler refuses it.
#[track_caller]
pub fn c_plugin(source: &Path, into: &Path, extra: &[&str]) {
    let status = Command::new("cc")
        .args(["-std=c11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden"])
        .args(extra)
        .arg("-I")
        .arg(root().join("sdk-c/include"))
        .arg("-o")
        .args([into, source])
        .status()
        .expect("a C compiler is installed");
    assert!(status.success(), "cc refused {}", source.display());
}

/// The file of an example of the SDK for C, C++ and Go, by the name of its library: `auth_cpp`.
///
/// Make builds it where `cargo xtask test` does, so that nothing is built twice.
///
/// # Panics
/// When a compiler is missing or refuses it.
#[must_use]
#[track_caller]
pub fn sdk_example(library: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = target_dir().join("sdk-c");
    let file = folder.join(format!("lib{library}.so"));
    let status = Command::new("make")
        .args(["-s", "-C"])
        .arg(root().join("sdk-c"))
        .arg(format!("BUILD={}", folder.display()))
        .arg(&file)
        .status()
        .expect("make is installed");
    assert!(status.success(), "no plugin file {}", file.display());
    file
}

/// The top of the repository.
///
/// # Panics
/// Never, as long as `tests` stands in the top folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("`tests` stands in the top folder")
}

/// The target folder these tests were built in.
///
/// # Panics
/// Never, as long as cargo puts profiles into the target folder.
#[must_use]
pub fn target_dir() -> PathBuf {
    profile_dir()
        .parent()
        .expect("profiles stand in the target folder")
        .to_owned()
}

/// The folder of the profile these tests were compiled with, such as `target/debug`.
fn profile_dir() -> PathBuf {
    let program = env::current_exe().expect("a running program has a file");
    // Test programs stand in `deps`, below the folder of their profile.
    let folder = program.parent().and_then(Path::parent);
    folder.expect("test programs stand in `deps`").to_owned()
}

fn build(what: &[&str]) {
    let profile = match profile_dir().file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
        None => panic!("the profile folder has no name"),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells a test of its package would be taken for a change by the build script of a dependency (ring), and
    // half of everything be built again, by this build and by the next one outside.
    let told = env::vars_os().map(|(name, _)| name);
    for name in told.filter(|name| is_of_one_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
        .current_dir(root())
        .args(["build", "--quiet", "--profile", &profile]);
    command.arg("--target-dir").arg(target_dir());
    let status = command.args(what).status().expect("cargo runs");
    assert!(status.success(), "cargo cannot build {what:?}");
}

fn is_of_one_package(variable: &str) -> bool {
    variable.starts_with("CARGO_MANIFEST_") || variable.starts_with("CARGO_PKG_")
}

/// The packages below `plugins`, in the order of their names.
fn plugin_packages() -> Vec<String> {
    let Ok(folders) = fs::read_dir(root().join("plugins")) else {
        return Vec::new();
    };
    let mut packages: Vec<_> = folders
        .filter_map(|folder| fs::read_to_string(folder.ok()?.path().join("Cargo.toml")).ok())
        .filter_map(|manifest| {
            let line = manifest.lines().find(|line| line.starts_with("name = "))?;
            Some(line.split('"').nth(1)?.to_owned())
        })
        .collect();
    packages.sort();
    packages
}
