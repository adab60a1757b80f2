//! The programs of the contestants: found where they are installed or built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;
use crate::failure::Outcome;

use super::contestants::Contestant;

/// Where Debian puts the module that runs Lua in nginx.
const LUA_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_lua_module.so";
/// Where programs of an administrator are, which may not be on the path of a person.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// One of this repository.
    Built(&'static str),
    Nginx,
    /// nginx that can load its Lua module.
    NginxLua,
    Haproxy,
    Envoy,
    /// The gateway of `tests/bench/go-gateway`.
    GoGateway,
}

/// What is there.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The folder of release builds.
    pub(crate) built: PathBuf,
    own: PathBuf,
}

impl Tools {
    /// Looks for everything; builds the Go gateway where Go is there.
    pub(crate) fn find(built: PathBuf) -> Outcome<Self> {
        let tools = Self {
            built,
            own: folder()?,
        };
        if let Some(go) = on_path("go") {
            build_go_gateway(&go, &tools.own)?;
        }
        Ok(tools)
    }

    /// The program behind a tool, if it is there.
    pub(crate) fn path(&self, tool: Tool) -> Option<PathBuf> {
        match tool {
            Tool::Built(name) => Some(self.built.join(name)),
            Tool::Nginx => on_path("nginx"),
            Tool::NginxLua => on_path("nginx").filter(|_| Path::new(LUA_MODULE).exists()),
            Tool::Haproxy => on_path("haproxy"),
            Tool::Envoy => on_path("envoy").or_else(|| there(self.own.join(ENVOY))),
            Tool::GoGateway => there(self.own.join("go-gateway")).filter(|_| self.jobs().exists()),
        }
    }

    /// The plugin file of the Go gateway.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.own.join("jobs.so")
    }

    /// Why a contestant cannot take part.
    pub(crate) fn missing(&self, contestant: &Contestant) -> Option<&'static str> {
        if self.path(contestant.tool).is_some() {
            return None;
        }
        Some(match contestant.tool {
            Tool::Built(_) => "it was not built",
            Tool::Nginx => "nginx is not installed; `--install` brings it",
            Tool::NginxLua => "nginx has no Lua module; `--install` brings it",
            Tool::Haproxy => "haproxy is not installed; `--install` brings it",
            Tool::Envoy => "envoy is not installed; `--install` brings it",
            Tool::GoGateway => "go is not installed; `--install` brings it",
        })
    }

    /// What a program says of its version, in one line.
    pub(crate) fn version(&self, tool: Tool) -> Option<String> {
        let (program, word) = match tool {
            Tool::Built(_) | Tool::NginxLua => return None,
            Tool::Nginx | Tool::Haproxy => (self.path(tool)?, "-v"),
            Tool::Envoy => (self.path(tool)?, "--version"),
            Tool::GoGateway => (on_path("go")?, "version"),
        };
        first_line(Command::new(program).arg(word))
    }
}

/// Where `--install` leaves Envoy, below the folder of tools.
pub(crate) const ENVOY: &str = "envoy/envoy/_bin/envoy";

/// The folder of tools that belong to this repository alone.
pub(crate) fn folder() -> Outcome<PathBuf> {
    Ok(cargo::target()?.join("bench-tools"))
}

/// The first line with anything on it that a command prints, wherever it prints it.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Some name the file they are, which says nothing elsewhere.
    let words = line
        .split_whitespace()
        .filter(|word| !word.starts_with('/'));
    Some(words.collect::<Vec<_>>().join(" "))
}

/// A program on the path or where administrators have theirs.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM.map(PathBuf::from))
        .find_map(|folder| there(folder.join(name)))
}

fn there(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

/// Go builds only what has changed; its cache lies with the other tools.
fn build_go_gateway(go: &Path, own: &Path) -> Outcome<()> {
    let source = cargo::root().join("tests/bench/go-gateway");
    let build = |what: &str, output: PathBuf, words: &[&str]| {
        let mut command = Command::new(go);
        command
            .current_dir(&source)
            .env("GOCACHE", own.join("go-cache"))
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod -buildvcs=false -trimpath")
            .arg("build")
            .arg("-o")
            .arg(output)
            .args(words);
        cargo::call(what, &mut command)
    };
    build(
        "the build of the Go gateway",
        own.join("go-gateway"),
        &["."],
    )?;
    build(
        "the build of the Go plugin",
        own.join("jobs.so"),
        &["-buildmode=plugin", "./jobs"],
    )
}
