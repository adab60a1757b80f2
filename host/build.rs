//! Puts the plugin SDK into the binary, for `swapgate plugin new`: the crates as `cargo package` would ship them, and the C
//! header with what belongs to it.
//!
//! Everything comes from the files of this repository at build time, so what a new project gets is what this gateway was
//! built with. A manifest is the one file that cannot go as it is: what it inherits from the workspace is written out, and a
//! dependency between two of the crates becomes a path between their new places, which lie side by side.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toml::{Table, Value};

/// The crates, and where they are from the top of the repository.
const CRATES: [(&str, &str); 2] = [
    ("swapgate-abi", "plugin-api/abi"),
    ("swapgate-plugin", "plugin-api"),
];

/// The package for Go.
const GO_FOLDER: &str = "sdk-c/go";

/// What C++ has besides the files of C.
const CPP_FILE: (&str, &str) = ("include/swapgate.hpp", "sdk-c/include/swapgate.hpp");

/// The files of the C SDK, by their places in a project's folder for it.
const C_FILES: [(&str, &str); 4] = [
    ("include/swapgate.h", "sdk-c/include/swapgate.h"),
    (
        "include/swapgate_version.h",
        "sdk-c/include/swapgate_version.h",
    ),
    ("plugin.map", "sdk-c/plugin.map"),
    ("LICENSE", "LICENSE"),
];

const INHERITING: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            println!("cargo::error=cannot put the plugin SDK into the binary: {text}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Outcome<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let top = here.parent().ok_or("the package lies in no folder")?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let workspace = read_table(&watched(top.join("Cargo.toml")))?;
    let mut crates = Vec::new();
    for (name, folder) in CRATES {
        let folder = watched(top.join(folder));
        let manifest = manifest(&folder, &workspace)?;
        let made = out.join(format!("{name}.toml"));
        fs::write(&made, manifest).map_err(|error| told(&made, &error))?;
        for path in files(&folder, Path::new(""))? {
            let source = match path.as_str() {
                "Cargo.toml" => made.clone(),
                path => folder.join(path),
            };
            crates.push((format!("{name}/{path}"), source));
        }
    }
    let c = C_FILES.map(|(to, from)| (to.to_owned(), watched(top.join(from))));
    let cpp = [CPP_FILE].map(|(to, from)| (to.to_owned(), watched(top.join(from))));
    let go = go_package(&watched(top.join(GO_FOLDER)))?;
    let list = format!(
        "/// The crates.\npub static RUST: &[Embedded] = &[{}];\n\
         /// Header, version rule, linker script.\npub static C: &[Embedded] = &[{}];\n\
         /// The same and the layer for C++.\npub static CPP: &[Embedded] = &[{}];\n\
         /// The same as for C and the package for Go.\npub static GO: &[Embedded] = &[{}];\n",
        entries(&crates)?,
        entries(&c)?,
        entries(&[c.as_slice(), &cpp].concat())?,
        entries(&[c.as_slice(), &go].concat())?,
    );
    let made = out.join("sdk.rs");
    fs::write(&made, list).map_err(|error| told(&made, &error))
}

/// The files of the package for Go; its own `go.mod` is for this repository, a project has one for all.
fn go_package(folder: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let files = files(folder, Path::new(""))?;
    let wanted = files.iter().filter(|path| *path != "go.mod");
    Ok(wanted
        .map(|path| (format!("swapgate/{path}"), folder.join(path)))
        .collect())
}

fn variable(name: &str) -> Outcome<String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// Has cargo run this again when the file, or anything in the folder, changes.
fn watched(path: PathBuf) -> PathBuf {
    println!("cargo::rerun-if-changed={}", path.display());
    path
}

/// The list as Rust, each file with its text.
fn entries(files: &[(String, PathBuf)]) -> Outcome<String> {
    let mut list = String::new();
    for (path, source) in files {
        let source = source.to_str().ok_or("a folder's name is not UTF-8")?;
        writeln!(
            list,
            "Embedded {{ path: {path:?}, text: include_str!({source:?}) }},"
        )
        .map_err(|error| error.to_string())?;
    }
    Ok(list)
}

/// What `cargo package` ships of a crate: every file but hidden ones and those of crates within.
fn files(folder: &Path, within: &Path) -> Outcome<Vec<String>> {
    let place = folder.join(within);
    let mut found = Vec::new();
    for entry in fs::read_dir(&place).map_err(|error| told(&place, &error))? {
        let name = entry.map_err(|error| told(&place, &error))?.file_name();
        let path = within.join(&name);
        let full = folder.join(&path);
        if name.to_string_lossy().starts_with('.') || full.join("Cargo.toml").exists() {
            continue;
        }
        if full.is_dir() {
            found.extend(files(folder, &path)?);
        } else {
            let path = path.to_str().ok_or("a file's name is not UTF-8")?;
            found.push(path.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

fn read_table(file: &Path) -> Outcome<Table> {
    let text = fs::read_to_string(file).map_err(|error| told(file, &error))?;
    text.parse().map_err(|error| told(file, &error))
}

/// The manifest of a crate, with everything it inherits written out.
fn manifest(folder: &Path, workspace: &Table) -> Outcome<String> {
    let file = folder.join("Cargo.toml");
    let mut manifest = read_table(&file)?;
    let workspace = table(workspace, "workspace")?;
    let written_out = write_out(&mut manifest, workspace).map_err(|error| told(&file, &error));
    written_out.and_then(|()| {
        let text = toml::to_string(&manifest).map_err(|error| told(&file, &error))?;
        Ok(format!(
            "# Part of Swapgate, unpacked by `swapgate plugin new`; not meant to be edited.\n\n{text}"
        ))
    })
}

fn write_out(manifest: &mut Table, workspace: &Table) -> Outcome<()> {
    if let Some(Value::Table(package)) = manifest.get_mut("package") {
        let shared = table(workspace, "package")?;
        for (key, value) in package.iter_mut().filter(|(_, value)| inherits(value)) {
            *value = get(shared, key)?.clone();
        }
    }
    for kind in INHERITING {
        if let Some(Value::Table(dependencies)) = manifest.get_mut(kind) {
            for (name, dependency) in dependencies.iter_mut() {
                *dependency = self::dependency(name, dependency, workspace)?;
            }
        }
    }
    if manifest.get("lints").is_some_and(inherits) {
        manifest.insert("lints".to_owned(), get(workspace, "lints")?.clone());
    }
    match manifest.get("target") {
        Some(_) => Err("dependencies of single targets are not written out yet".to_owned()),
        None => Ok(()),
    }
}

/// A dependency with what the workspace says about it; features add up.
fn dependency(name: &str, own: &Value, workspace: &Table) -> Outcome<Value> {
    let mut whole = if inherits(own) {
        as_table(get(table(workspace, "dependencies")?, name)?)
    } else {
        as_table(own)
    };
    if let (true, Some(own)) = (inherits(own), own.as_table()) {
        for (key, value) in own.iter().filter(|(key, _)| *key != "workspace") {
            match (whole.get_mut(key), value) {
                (Some(Value::Array(shared)), Value::Array(more)) => shared.extend(more.clone()),
                _ => _ = whole.insert(key.clone(), value.clone()),
            }
        }
    }
    if whole.contains_key("path") {
        if !CRATES.iter().any(|(known, _)| *known == name) {
            return Err(format!(
                "{name} is a crate of this repository that is not put in"
            ));
        }
        whole.insert("path".to_owned(), format!("../{name}").into());
    }
    Ok(Value::Table(whole))
}

fn as_table(dependency: &Value) -> Table {
    match dependency {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    }
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn get<'t>(table: &'t Table, key: &str) -> Outcome<&'t Value> {
    table
        .get(key)
        .ok_or_else(|| format!("the workspace has no {key}"))
}

fn table<'t>(within: &'t Table, key: &str) -> Outcome<&'t Table> {
    get(within, key)?
        .as_table()
        .ok_or_else(|| format!("{key} is no table"))
}
