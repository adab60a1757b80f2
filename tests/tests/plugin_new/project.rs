//! A project made by the real binary, in a folder that has nothing to do with this repository.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use swapgate_tests::artifacts;
use tempfile::TempDir;

/// What a project is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lang {
    Rust,
    C,
    Cpp,
    Go,
}

impl Lang {
    /// As the command line has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Go => "go",
        }
    }
}

/// A project. Dropped, it is gone, and what cargo built of it as well.
pub(crate) struct Project {
    pub(crate) name: &'static str,
    lang: Lang,
    folder: TempDir,
    /// Whether cargo built anything of it.
    built: Cell<bool>,
}

impl Project {
    /// Makes one, with the command a stranger types.
    #[track_caller]
    pub(crate) fn make(name: &'static str, lang: Lang) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("swapgate-project-")
            .tempdir()
            .expect("the system has a temporary folder");
        let project = Self {
            name,
            lang,
            folder,
            built: Cell::new(false),
        };
        let output = plugin_new(&[name, "--lang", lang.word()], project.folder.path());
        expect_success("plugin new", &output);
        project
    }

    /// Its top folder: the one with its name, as no `--path` was given.
    pub(crate) fn top(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        read(&self.top().join(path))
    }

    /// Replaces a piece of a file, which must be there.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "no `{from}` in {path}");
        fs::write(self.top().join(path), text.replace(from, to)).expect("the folder is ours");
    }

    /// Runs its own tests.
    #[track_caller]
    pub(crate) fn test(&self) {
        match self.lang {
            Lang::Rust => self.cargo("test"),
            _ => self.make_target(&["test"]),
        }
    }

    #[track_caller]
    pub(crate) fn build(&self) {
        match self.lang {
            Lang::Rust => self.cargo("build"),
            _ => self.make_target(&[]),
        }
    }

    /// The file it builds.
    pub(crate) fn product(&self) -> PathBuf {
        match self.lang {
            Lang::Rust => {
                let library = self.name.replace('-', "_");
                target().join(format!("debug/lib{library}.so"))
            }
            _ => self.top().join(format!("build/lib{}.so", self.name)),
        }
    }

    /// Puts what was built into a plugins folder, as its README says.
    #[track_caller]
    pub(crate) fn install(&self, plugins: &Path) {
        match self.lang {
            Lang::Rust => {
                let mut install = Command::new("install");
                install.args(["-m", "755"]).args([&self.product(), plugins]);
                run("install", &mut install);
            }
            _ => {
                self.make_target(&["install", &format!("PLUGINS_DIR={}", plugins.display())]);
            }
        }
    }

    /// Offline first, so that a test run asks nobody for what this repository has fetched already.
    #[track_caller]
    fn cargo(&self, command: &str) {
        self.built.set(true);
        let attempt = |options: &[&str]| {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let output = Command::new(cargo)
                .current_dir(self.top())
                .arg(command)
                .args(options)
                .arg("--target-dir")
                .arg(target())
                // Of no use here, and most of what is built.
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .output();
            output.expect("cargo runs")
        };
        let offline = attempt(&["--offline"]);
        if !offline.status.success() {
            expect_success(command, &attempt(&[]));
        }
    }

    #[track_caller]
    fn make_target(&self, arguments: &[&str]) {
        let mut make = Command::new("make");
        make.current_dir(self.top()).args(arguments);
        make.env("SWAPGATE", artifacts::gateway());
        // Whatever a project in Go needs lies in it.
        make.env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
        run("make", &mut make);
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if !self.built.get() {
            return;
        }
        // The next run builds the SDK from another folder, so what was built of this one only takes room.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let _ = Command::new(cargo)
            .current_dir(self.top())
            .args(["clean", "--quiet", "--offline", "--target-dir"])
            .arg(target())
            .args([
                "-p",
                self.name,
                "-p",
                "swapgate-plugin",
                "-p",
                "swapgate-abi",
            ])
            .output();
    }
}

/// Where projects are built: in one place, so that the crates they depend on are built once.
fn target() -> PathBuf {
    artifacts::target_dir().join("plugin-new")
}

/// Runs `swapgate plugin new` in a folder.
pub(crate) fn plugin_new<A: AsRef<OsStr>>(arguments: &[A], within: &Path) -> Output {
    Command::new(artifacts::gateway())
        .current_dir(within)
        .args(["plugin", "new"])
        .args(arguments)
        .output()
        .expect("the gateway's binary runs")
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
pub(crate) fn run(what: &str, command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    expect_success(what, &output);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn expect_success(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Every file below a folder, by its path from there, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(place) = ahead.pop() {
        for entry in fs::read_dir(place).expect("the folder is there") {
            let path = entry.expect("the folder is there").path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("found below it");
                found.push(below.display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
pub(crate) fn read(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
