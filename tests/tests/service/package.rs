//! What is shipped beside the binary: units that systemd understands, and configurations that serve.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use swapgate_tests::{Gateway, artifacts};

fn shipped(name: &str) -> PathBuf {
    artifacts::root().join("config").join(name)
}

fn is_there(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        println!("{program} is not installed, so this case says nothing");
    }
    there
}

/// The units with the gateway under test in the place of the one that is installed.
fn units() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["swapgate.service", "swapgate.socket"] {
        let text = fs::read_to_string(shipped("systemd").join(name)).expect("it is there");
        let gateway = artifacts::gateway().display().to_string();
        let text = text.replace("/usr/bin/swapgate", &gateway);
        // The account is made when the package is installed.
        let text = text.replace("=swapgate\n", "=daemon\n");
        fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let unit = folder.path().join("swapgate.service");
    (folder, unit)
}

#[test]
fn systemd_understands_the_units() {
    if !is_there("systemd-analyze") {
        return;
    }
    let (folder, unit) = units();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&unit);
    let output = verify
        .arg(folder.path().join("swapgate.socket"))
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours = told.lines().filter(|line| line.contains("swapgate"));
    let ours: Vec<&str> = ours.collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn the_service_is_hardened() {
    if !is_there("systemd-analyze") {
        return;
    }
    let (_folder, unit) = units();
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=25"])
        .arg(&unit)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "more than 2.5 of 10: {told}");
}

#[test]
fn the_configurations_of_package_and_image_serve() {
    for name in ["debian/swapgate.yaml", "container/swapgate.yaml"] {
        let text = fs::read_to_string(shipped(name)).expect("it is there");
        let text = text
            .replace("0.0.0.0:8000", "127.0.0.1:0")
            .replace("127.0.0.1:8001", "127.0.0.1:0")
            .replace("/etc/swapgate/plugins.d", "plugins.d")
            .replace("/var/lib/swapgate", "state");
        let gateway = Gateway::with_whole(&text).start();
        assert_eq!(gateway.status()["ready"], true, "{name}");
        let admin = gateway.admin_address().to_string();
        let health = |more: &[&str]| {
            let mut command = Command::new(artifacts::gateway());
            command.args(["health", "--admin", &admin]).args(more);
            command.output().expect("it runs")
        };
        let ready = health(&[]);
        assert_eq!(String::from_utf8_lossy(&ready.stdout), "ready\n");
        assert!(health(&["--alive"]).status.success());
        drop(gateway);
        let gone = health(&[]);
        assert_eq!(gone.status.code(), Some(1));
        let told = String::from_utf8_lossy(&gone.stderr).into_owned();
        assert!(told.starts_with("not ready: cannot connect"), "{told}");
    }
}

#[test]
fn the_unit_and_the_image_start_what_the_command_line_knows() {
    let unit = fs::read_to_string(shipped("systemd/swapgate.service")).expect("it is there");
    let image = fs::read_to_string(shipped("container/Containerfile")).expect("it is there");
    let help = Command::new(artifacts::gateway())
        .args(["run", "--help"])
        .output()
        .expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let start = unit.lines().find(|line| line.starts_with("ExecStart="));
    for word in start.expect("it starts something").split(' ') {
        assert!(!word.starts_with("--") || help.contains(word), "{word}");
    }
    for word in [
        "\"health\"",
        "\"run\", \"--config\"",
        "STOPSIGNAL SIGTERM",
        "USER 10001",
    ] {
        assert!(image.contains(word), "{word}");
    }
}
