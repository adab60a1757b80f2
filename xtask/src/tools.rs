//! The tools a test run needs besides cargo: found, installed where that is possible, or named.

use std::process::{Command, Stdio};

use crate::failure::{Context, Failure, Outcome};
use crate::{cargo, python};

/// A program, the package of Debian that has it, and what it is for. Those of one package stand together.
const TOOLS: [(&str, &str, &str); 17] = [
    ("cc", "gcc", "plugins in C"),
    ("c++", "g++", "plugins in C++"),
    ("clang", "clang", "the C header for other machines"),
    ("go", "golang-go", "plugins in Go"),
    ("make", "make", "plugins in C"),
    ("readelf", "binutils", "looking into plugin files"),
    ("prometheus", "prometheus", "scraping the metrics"),
    ("promtool", "prometheus", "checking the metrics"),
    ("curl", "curl", "a client of every protocol"),
    ("openssl", "openssl", "a client of TLS"),
    ("nginx", "nginx", "an upstream with files"),
    ("dnsmasq", "dnsmasq-base", "a server of names"),
    ("haproxy", "haproxy", "a sender of PROXY headers"),
    ("h2load", "nghttp2-client", "many streams of HTTP/2"),
    ("nghttp", "nghttp2-client", "a client of HTTP/2"),
    ("chromium", "chromium", "a page in a browser"),
    ("strace", "strace", "system calls that fail"),
];

/// Makes sure that everything is there; `lints` asks for the formatter and the linter as well.
pub(crate) fn check(lints: bool) -> Outcome<()> {
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|(program, _, _)| !is_there(program))
        .collect();
    if !missing.is_empty() {
        let mut packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
        packages.dedup();
        let purposes: Vec<String> = missing
            .iter()
            .map(|(program, _, purpose)| format!("{program} (for {purpose})"))
            .collect();
        install(&packages, &purposes.join(", "))?;
    }
    python::check()?;
    attach()?;
    if lints {
        component("fmt", "rustfmt")?;
        component("clippy", "clippy")?;
    }
    Ok(())
}

/// Tests have strace attach to a gateway that is no child of it, which a kernel may keep for root.
fn attach() -> Outcome<()> {
    let sleep = Command::new("sleep").arg("1").spawn();
    let mut sleep = sleep.context("sleep cannot be started")?;
    let may = answers(
        "strace",
        &["-qqq", "-o", "/dev/null", "-p", &sleep.id().to_string()],
    );
    sleep.wait().context("sleep cannot be waited for")?;
    if may {
        return Ok(());
    }
    Err(Failure::new(
        "strace may not attach to a process that is running; `sysctl kernel.yama.ptrace_scope=0` as root allows it, or run as root",
    ))
}

/// Whether a file system can be mounted, for the tests of a full disk. It is, in a namespace of its own.
pub(crate) fn may_mount() -> bool {
    answers("unshare", &["-m", "mount", "-t", "tmpfs", "probe", "/tmp"])
}

/// Some have a word of their own for what others call `--version`.
fn is_there(program: &str) -> bool {
    let asked = match program {
        "go" | "openssl" => "version",
        "nginx" | "haproxy" => "-v",
        _ => "--version",
    };
    answers(program, &[asked])
}

/// Whether a program can be started and says yes.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs packages of Debian, or says how a person would.
pub(crate) fn install(packages: &[&str], missing: &str) -> Outcome<()> {
    let line = format!("apt-get install {}", packages.join(" "));
    if !rustix::process::geteuid().is_root() || !answers("apt-get", &["--version"]) {
        return Err(Failure::new(format!(
            "missing: {missing}; on Debian, `{line}` as root brings it"
        )));
    }
    println!("missing: {missing}; installing");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        cargo::call(&line, &mut command)
    };
    apt(&["update", "--quiet"])?;
    apt(&[
        &[
            "install",
            "--yes",
            "--quiet",
            "--no-install-recommends",
            "libc6-dev",
        ],
        packages,
    ]
    .concat())
}

fn component(command: &str, name: &str) -> Outcome<()> {
    let mut cargo = cargo::cargo();
    cargo
        .args([command, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if cargo.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let line = format!("rustup component add {name}");
    cargo::call(
        &line,
        Command::new("rustup").args(["component", "add", name]),
    )
    .map_err(|failure| {
        Failure::new(format!(
            "cargo {command} is missing and cannot be installed: {failure}; `--quick` does without"
        ))
    })
}
