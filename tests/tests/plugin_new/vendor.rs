//! What a project gets in `vendor` is what `cargo package` would publish, and the header of this repository.

use std::process::Command;

use swapgate_tests::artifacts;
use toml::{Table, Value};

use crate::project::{Lang, Project, files, read, run};

/// What cargo adds to a package, about the place it came from.
const ADDED: [&str; 3] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];

/// What cargo writes into a manifest about files it found; without it, it finds them again.
const FOUND: [&str; 3] = ["lib", "test", "build"];
const FOUND_IN_PACKAGE: [&str; 7] = [
    "autobenches",
    "autobins",
    "autoexamples",
    "autolib",
    "autotests",
    "build",
    "readme",
];

#[test]
fn the_crates_are_what_cargo_would_publish() {
    let project = Project::make("vendoring", Lang::Rust);
    let scratch = tempfile::tempdir().expect("the system has a temporary folder");
    for name in ["swapgate-abi", "swapgate-plugin"] {
        let cargo = |options: &[&str]| {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = Command::new(cargo);
            command.current_dir(artifacts::root()).arg("package");
            command.args(["--quiet", "--offline", "--allow-dirty", "--package", name]);
            command.arg("--target-dir").arg(scratch.path());
            run("cargo package", command.args(options))
        };
        let vendored = project.top().join("vendor").join(name);
        let listed = cargo(&["--list"]);
        let mut listed: Vec<_> = listed.lines().filter(|f| !ADDED.contains(f)).collect();
        // Cargo sorts by the parts of a path.
        listed.sort_unstable();
        assert_eq!(files(&vendored), listed, "the files of {name}");

        cargo(&["--no-verify", "--exclude-lockfile"]);
        let package = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let folder = scratch.path().join("package");
        let mut tar = Command::new("tar");
        tar.current_dir(&folder)
            .args(["-xzf", &format!("{package}.crate")]);
        run("tar", &mut tar);
        let packaged = folder.join(package);
        for file in listed {
            let (ours, theirs) = (read(&vendored.join(file)), read(&packaged.join(file)));
            if file == "Cargo.toml" {
                assert_eq!(comparable(&ours), comparable(&theirs), "manifest of {name}");
            } else {
                assert_eq!(ours, theirs, "{name}: {file}");
            }
        }
    }
}

#[test]
fn the_c_sdk_is_the_one_of_this_repository() {
    let project = Project::make("vendoring-c", Lang::C);
    let sdk = artifacts::root().join("sdk-c");
    for file in [
        "include/swapgate.h",
        "include/swapgate_version.h",
        "plugin.map",
    ] {
        assert_eq!(
            project.read(&format!("vendor/{file}")),
            read(&sdk.join(file))
        );
    }
    assert_eq!(
        project.read("vendor/LICENSE"),
        read(&artifacts::root().join("LICENSE"))
    );
}

#[test]
fn the_sdk_for_cpp_is_the_one_of_this_repository() {
    let project = Project::make("vendoring-cpp", Lang::Cpp);
    let sdk = artifacts::root().join("sdk-c");
    for file in [
        "include/swapgate.h",
        "include/swapgate.hpp",
        "include/swapgate_version.h",
        "plugin.map",
    ] {
        assert_eq!(
            project.read(&format!("vendor/{file}")),
            read(&sdk.join(file))
        );
    }
}

#[test]
fn the_package_for_go_is_the_one_of_this_repository() {
    let project = Project::make("vendoring-go", Lang::Go);
    let sdk = artifacts::root().join("sdk-c");
    assert_eq!(
        project.read("sdk/include/swapgate.h"),
        read(&sdk.join("include/swapgate.h"))
    );
    let mut own: Vec<_> = files(&sdk.join("go"));
    own.retain(|file| file != "go.mod");
    assert_eq!(files(&project.top().join("sdk/swapgate")), own);
    for file in own {
        assert_eq!(
            project.read(&format!("sdk/swapgate/{file}")),
            read(&sdk.join("go").join(file))
        );
    }
}

/// A manifest without what cargo found out by itself, and without the paths between the crates, which a published one
/// has not.
fn comparable(manifest: &str) -> Table {
    let mut table: Table = manifest.parse().expect("manifests are TOML");
    table.retain(|key, _| !FOUND.contains(&key));
    if let Some(Value::Table(package)) = table.get_mut("package") {
        package.retain(|key, _| !FOUND_IN_PACKAGE.contains(&key));
    }
    if let Some(Value::Table(dependencies)) = table.get_mut("dependencies") {
        for (_, dependency) in dependencies.iter_mut() {
            if let Value::Table(dependency) = dependency {
                dependency.remove("path");
            }
        }
    }
    table
}
