//! The commands that only read: their exit codes and where they print.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn swapgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swapgate"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(name)
}

#[test]
fn a_good_file_is_exit_0() {
    for name in ["swapgate.yaml", "demo.yaml"] {
        let output = swapgate(&["check", "--config", committed(name).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(output.stderr.is_empty(), "{name}");
    }
}

#[test]
fn a_bad_file_is_exit_2_with_every_error_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "format: 2\nlistners: []\n").unwrap();
    let file = file.to_str().unwrap();
    let output = swapgate(&["check", "--config", file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.lines().all(|line| line.starts_with(file)), "{told}");

    let output = swapgate(&["check", "--config", file, "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], false);
    assert_eq!(document["errors"].as_array().unwrap().len(), 3);
    assert_eq!(document["errors"][1]["line"], 1);
}

#[test]
fn what_cannot_be_read_is_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("noise.yaml");
    std::fs::write(&noise, b"a: 1\nb: \xff\n").unwrap();
    for (path, reason) in [
        (folder.path().join("absent.yaml"), "No such file"),
        (folder.path().to_owned(), "not a regular file"),
        (noise, "line 2 is not UTF-8"),
    ] {
        let output = swapgate(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(reason) && told.lines().count() == 1, "{told}");
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let output = swapgate(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let committed = std::fs::read(committed("swapgate.schema.json")).unwrap();
    assert!(output.stdout == committed);
}
