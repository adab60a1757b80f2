//! `swapgate check --plugins`: the plugins have their say, in child processes, without anything being served.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A configuration file, a plugins folder, and a folder for temporary files that must stay empty.
struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new(uses: &str) -> Self {
        let bed = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["plugins", "tmp"] {
            let path = bed.path(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let config = format!(
            "format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: elsewhere
state_dir: state
upstreams: [{{name: u, targets: [{{address: \"127.0.0.1:9\"}}]}}]
services: [{{name: s, upstream: u}}]
routes:
  - name: r
    service: s
    paths: [/]
    plugins:
{uses}"
        );
        fs::write(bed.path("swapgate.yaml"), config).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds the smallest example of the C SDK into the plugins folder, with more words for the compiler.
    fn minimal(self, more: &[&str]) -> Self {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk-c");
        let status = Command::new("cc")
            .args(["-std=c11", "-fPIC", "-shared", "-Wl,-z,defs"])
            .arg("-I")
            .arg(sdk.join("include"))
            .args(more)
            .arg("-o")
            .arg(self.path("plugins/libminimal_c.so"))
            .arg(sdk.join("examples/minimal.c"))
            .status()
            .expect("a C compiler is needed to build the example");
        assert!(status.success());
        self
    }

    fn check(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_swapgate"))
            .arg("check")
            .arg("--config")
            .arg(self.path("swapgate.yaml"))
            .arg("--plugins")
            .arg(self.path("plugins"))
            .args(more)
            .env("TMPDIR", self.path("tmp"))
            .output()
            .unwrap()
    }

    /// Checks, and compares exit code and the lines on stderr, from which the temporary folder is taken out.
    #[track_caller]
    fn expect(&self, code: i32, lines: &[&str]) {
        let output = self.check(&[]);
        let root = format!("{}/", self.folder.path().display());
        let told = String::from_utf8(output.stderr).unwrap().replace(&root, "");
        assert_eq!(told.lines().collect::<Vec<_>>(), lines);
        assert_eq!(output.status.code(), Some(code));
        let left = fs::read_dir(self.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "copies are removed");
        assert!(!self.path("state").exists(), "nothing is left behind");
    }
}

const GOOD: &str = "      - {name: minimal-c, config: {name: x-served-by, value: swapgate}}\n";

#[test]
fn what_fits_is_exit_0() {
    let bed = Bed::new(GOOD).minimal(&[]);
    bed.expect(0, &[]);
    let said = String::from_utf8(bed.check(&[]).stdout).unwrap();
    assert!(said.trim_end().ends_with(", uses of plugins: 1)"), "{said}");
}

#[test]
fn every_error_is_told_at_its_place() {
    Bed::new(
        "      - {name: minimal-c, config: {name: \"x served by\", value: 1}}\n      - name: absent\n",
    )
    .minimal(&[])
    .expect(
        2,
        &[
            "swapgate.yaml:13:42: routes[0].plugins[0].config.name: this value does not fit (by the schema of plugin minimal-c): found a text, expected a text that matches \"^[A-Za-z0-9-]{1,64}$\"",
            "swapgate.yaml:13:64: routes[0].plugins[0].config.value: this value does not fit (by the schema of plugin minimal-c): found the number 1, expected a text",
            "swapgate.yaml:14:9: routes[0].plugins[1]: the plugin absent is not in plugins; put its file there",
        ],
    );
}

#[test]
fn a_version_nobody_has_is_told_with_what_is_there() {
    let bed = Bed::new("      - {name: minimal-c, version: ^9, config: {name: a, value: b}}\n")
        .minimal(&[]);
    bed.expect(
        2,
        &["swapgate.yaml:13:9: routes[0].plugins[0]: plugins has no version of the plugin minimal-c that `^9` admits: found version 0.1.0; put its file there"],
    );
}

#[test]
fn a_file_that_crashes_is_refused_and_nothing_else_happens() {
    let bed = Bed::new(GOOD);
    let crash = bed.path("crash.h");
    fs::write(
        &crash,
        "__attribute__((constructor)) static void crash(void) { __builtin_trap(); }\n",
    )
    .unwrap();
    bed.minimal(&["-include", crash.to_str().unwrap()])
        .expect(
            2,
            &[
                "swapgate.yaml:13:9: routes[0].plugins[0]: the plugin minimal-c is not in plugins: found a refused file (plugins/libminimal_c.so: it crashed the preflight in a constructor (dlopen) (SIGILL); mend the plugin); put its file there",
                "not taken (preflight): plugins/libminimal_c.so: it crashed the preflight in a constructor (dlopen) (SIGILL); mend the plugin",
            ],
        );
}

#[test]
fn a_file_nobody_needs_is_only_mentioned() {
    let bed = Bed::new(GOOD).minimal(&[]);
    fs::write(bed.path("plugins/notes.so"), "to do: write this plugin\n").unwrap();
    bed.expect(0, &["not taken (inspect): plugins/notes.so: it is a text file, not a shared library; put the built plugin there (the .so that cargo or the Makefile made)"]);
    let output = bed.check(&["--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], true);
    assert_eq!(document["refused"][0]["step"], "inspect");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let bed = Bed::new(GOOD);
    fs::remove_dir(bed.path("plugins")).unwrap();
    bed.expect(
        2,
        &["plugins: cannot read the plugins folder (No such file or directory (os error 2)); check permissions and free space"],
    );
}
