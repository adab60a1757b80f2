//! The package of Debian: built by cargo-deb, looked into, unpacked into a folder and started from there.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::failure::{Context as _, Failure, Outcome};
use crate::{cargo, tools};

/// What has to be in it.
const FILES: [&str; 13] = [
    "./usr/bin/swapgate",
    "./usr/lib/swapgate/plugins/libkey_auth.so",
    "./usr/lib/systemd/system/swapgate.service",
    "./usr/lib/systemd/system/swapgate.socket",
    "./usr/lib/sysusers.d/swapgate.conf",
    "./usr/include/swapgate.h",
    "./usr/include/swapgate.hpp",
    "./usr/share/swapgate/swapgate.schema.json",
    "./usr/share/doc/swapgate/README.md",
    "./usr/share/doc/swapgate/LICENSE",
    "./usr/share/doc/swapgate/copyright",
    "./usr/share/doc/swapgate/docs/deployment.md",
    "./etc/swapgate/swapgate.yaml",
];
/// What goes into it beside the gateway.
const PLUGINS: [&str; 4] = [
    "swapgate-key-auth",
    "swapgate-headers",
    "swapgate-rate-limit",
    "swapgate-access-log",
];
/// How long the gateway of the package may take until it is ready.
const LIMIT: Duration = Duration::from_secs(60);

/// `cargo xtask package [--debug]`
pub(crate) fn package(mut arguments: Arguments) -> Outcome<ExitCode> {
    let debug = arguments.flag("--debug");
    arguments.finish()?;
    tools_for_it()?;
    build(debug)?;
    let package = make(debug)?;
    look_into(&package)?;
    start(&package)?;
    println!("\n{} is good", package.display());
    Ok(ExitCode::SUCCESS)
}

fn tools_for_it() -> Outcome<()> {
    if !tools::answers("dpkg-deb", &["--version"]) {
        tools::install(&["dpkg"], "dpkg-deb (to look into the package)")?;
    }
    if tools::answers("cargo", &["deb", "--version"]) {
        return Ok(());
    }
    println!("missing: cargo-deb; installing, which takes minutes");
    let mut command = cargo::cargo();
    cargo::call(
        "cargo install cargo-deb",
        command.args(["install", "--locked", "cargo-deb"]),
    )
}

fn build(debug: bool) -> Outcome<()> {
    let mut command = cargo::cargo();
    command.args(["build", "--locked", "--package", "swapgate"]);
    command.args(PLUGINS.iter().flat_map(|plugin| ["--package", plugin]));
    if !debug {
        command.arg("--release");
    }
    cargo::call("the build of the package", &mut command)
}

fn make(debug: bool) -> Outcome<PathBuf> {
    let folder = cargo::target()?.join("package");
    std::fs::create_dir_all(&folder).context(format_args!("cannot make {}", folder.display()))?;
    let package = folder.join(if debug {
        "swapgate-debug.deb"
    } else {
        "swapgate.deb"
    });
    let mut command = cargo::cargo();
    command.args(["deb", "--no-build", "--package", "swapgate", "--output"]);
    command.arg(&package);
    if debug {
        command.args(["--profile", "dev", "--no-strip", "--fast"]);
    } else {
        command.args(["--strip"]);
    }
    cargo::call("cargo deb", &mut command)?;
    Ok(package)
}

fn look_into(package: &Path) -> Outcome<()> {
    let listed = output(Command::new("dpkg-deb").arg("-c").arg(package))?;
    let names = listed
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let names: Vec<&str> = names.collect();
    // Debian before 13 has its units under /lib.
    let has = |wanted: &str| {
        let old = wanted.replacen("./usr/lib/systemd", "./lib/systemd", 1);
        names.contains(&wanted) || names.contains(&&*old)
    };
    if let Some(missing) = FILES.iter().find(|wanted| !has(wanted)) {
        return Err(Failure::new(format!("the package has no {missing}")));
    }
    let told = output(Command::new("dpkg-deb").arg("-I").arg(package))?;
    for wanted in [
        "Package: swapgate",
        "Depends: ",
        "conffiles",
        "postinst",
        "postrm",
    ] {
        if !told.contains(wanted) {
            return Err(Failure::new(format!(
                "the package does not say {wanted}: {told}"
            )));
        }
    }
    let conffiles = output(
        Command::new("dpkg-deb")
            .arg("-I")
            .arg(package)
            .arg("conffiles"),
    )?;
    if conffiles.trim() != "/etc/swapgate/swapgate.yaml" {
        return Err(Failure::new(format!(
            "other files of configuration: {conffiles}"
        )));
    }
    if tools::answers("lintian", &["--version"]) {
        let mut command = Command::new("lintian");
        // Not uploaded to Debian, so what concerns its archive is left out; the rest is errors.
        command
            .args(["--fail-on", "error", "--allow-root", "--suppress-tags"])
            .arg("no-changelog,no-manual-page,embedded-library,unstripped-binary-or-object,dir-or-file-in-etc-opt,bogus-mail-host,mail-contact");
        cargo::call("lintian", command.arg(package))?;
    } else {
        println!("lintian is not installed and looks at nothing");
    }
    Ok(())
}

/// Unpacks it and starts the gateway with the configuration that comes with it.
fn start(package: &Path) -> Outcome<()> {
    let root = cargo::target()?.join("package/root");
    let _ = std::fs::remove_dir_all(&root);
    cargo::call(
        "dpkg-deb",
        Command::new("dpkg-deb").arg("-x").arg(package).arg(&root),
    )?;
    let file = root.join("etc/swapgate/swapgate.yaml");
    let read = |path: &Path| {
        std::fs::read_to_string(path).context(format_args!("cannot read {}", path.display()))
    };
    let text = read(&file)?
        .replace("/etc/swapgate/plugins.d", "../../usr/lib/swapgate/plugins")
        .replace("/var/lib/swapgate", "../../var/lib/swapgate")
        .replace("0.0.0.0:8000", "127.0.0.1:0")
        .replace("127.0.0.1:8001", "127.0.0.1:0")
        + "plugins: [{name: headers}]\n";
    let state = root.join("var/lib/swapgate");
    std::fs::create_dir_all(&state).context(format_args!("cannot make {}", state.display()))?;
    std::fs::write(&file, text).context(format_args!("cannot write {}", file.display()))?;
    let announce = root.join("announce.json");
    let gateway = root.join("usr/bin/swapgate");
    let mut run = Command::new(&gateway);
    run.args(["run", "--config"]).arg(&file);
    let mut child = run
        .arg("--announce")
        .arg(&announce)
        .stdin(Stdio::null())
        .spawn()
        .context(format_args!("cannot start {}", gateway.display()))?;
    let outcome = ready(&gateway, &announce, &mut child);
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

fn ready(gateway: &Path, announce: &Path, child: &mut std::process::Child) -> Outcome<()> {
    let start = Instant::now();
    let admin = loop {
        let text = std::fs::read_to_string(announce).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(admin) = told["admin"].as_str() {
            break admin.to_owned();
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || start.elapsed() > LIMIT {
            return Err(Failure::new(
                "the gateway of the package does not serve; see above",
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut health = Command::new(gateway);
    cargo::call(
        "swapgate health",
        health.args(["health", "--admin", &admin]),
    )
}

fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.context(format_args!(
        "{} cannot be started",
        command.get_program().display()
    ))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(Failure::new(format!("{command:?}: {told}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
