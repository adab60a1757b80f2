//! A project of a plugin: how it is built, and when it was saved.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;

/// How many files are looked at for changes, and how deep folders lie.
const FILES: usize = 20_000;
const DEPTH: usize = 12;
/// Folders that builds and gateways write to.
const WRITTEN: [&str; 5] = ["target", "build", "state", "plugins.d", "node_modules"];

/// A project.
pub(super) struct Project {
    dir: PathBuf,
    tool: Tool,
}

enum Tool {
    Cargo,
    Make,
}

/// What the sources looked like: equal while nothing was saved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Saved {
    newest: Option<SystemTime>,
    files: usize,
    bytes: u64,
}

impl Project {
    pub(super) fn find(dir: &Path) -> Result<Self, String> {
        let has = |name: &str| dir.join(name).is_file();
        let tool = if has("Cargo.toml") {
            Tool::Cargo
        } else if has("Makefile") {
            Tool::Make
        } else {
            return Err(format!(
                "{} has neither a Cargo.toml nor a Makefile; name the top folder of a project, or make one with swapgate plugin new",
                dir.display()
            ));
        };
        Ok(Self {
            dir: dir.to_owned(),
            tool,
        })
    }

    /// Builds it; the compiler writes to the terminal itself.
    pub(super) fn build(&self) -> Result<PathBuf, String> {
        match self.tool {
            Tool::Cargo => self.cargo(),
            Tool::Make => self.make(),
        }
    }

    fn cargo(&self) -> Result<PathBuf, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let cannot = |error: std::io::Error| format!("cannot run cargo: {error}");
        let mut child = Command::new(cargo)
            .args(["build", "--message-format=json-render-diagnostics"])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let mut product = None;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                product = artifact(&line).or(product);
            }
        }
        if !child.wait().map_err(cannot)?.success() {
            return Err("cargo says why".to_owned());
        }
        product.ok_or_else(|| {
            "the crate makes no dynamic library; write crate-type = [\"cdylib\"] under [lib]"
                .to_owned()
        })
    }

    fn make(&self) -> Result<PathBuf, String> {
        let status = Command::new("make")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| format!("cannot run make: {error}"))?;
        if !status.success() {
            return Err("make says why".to_owned());
        }
        let folder = self.dir.join("build");
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("make made no folder {}: {error}", folder.display()))?;
        let libraries = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let extension = path.extension()?.to_str()?;
            let changed = fs::metadata(&path).ok()?.modified().ok()?;
            (extension == std::env::consts::DLL_EXTENSION).then_some((changed, path))
        });
        let newest = libraries.max().map(|(_, path)| path);
        newest.ok_or_else(|| format!("make made no library in {}", folder.display()))
    }

    /// What the sources look like now.
    pub(super) fn saved(&self) -> Saved {
        let mut saved = Saved::default();
        look(&self.dir, DEPTH, &mut saved);
        saved
    }
}

fn artifact(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let kinds = message.pointer("/target/crate_types")?.as_array()?;
    if message.get("reason")? != "compiler-artifact" || !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    let mut files = files.iter().filter_map(Value::as_str);
    let file = files.find(|file| file.ends_with(std::env::consts::DLL_SUFFIX))?;
    Some(PathBuf::from(file))
}

fn look(dir: &Path, depth: usize, saved: &mut Saved) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(data) = entry.metadata() else { continue };
        if name.starts_with('.') || saved.files >= FILES {
            continue;
        }
        if data.is_dir() {
            if depth > 0 && !WRITTEN.contains(&&*name) {
                look(&entry.path(), depth - 1, saved);
            }
        } else if name != "Cargo.lock" {
            saved.files += 1;
            saved.bytes = saved.bytes.wrapping_add(data.len());
            saved.newest = saved.newest.max(data.modified().ok());
        }
    }
}
