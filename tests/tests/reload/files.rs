//! The ways in which a configuration changes: edited in place, renamed, link swapped, by signal, gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;
use swapgate_tests::Gateway;

use super::{STAY, load, named};

fn with_route(name: &str) -> String {
    format!("{STAY}  - {{name: {name}, service: a, paths: [/{name}]}}\n")
}

/// Waits until the route of [`with_route`] is there.
#[track_caller]
fn wait_for_route(gateway: &Gateway, name: &str) {
    let path = format!("/{name}");
    gateway.wait_for_answers(&path, &path, |answer| answer.status == 200);
}

#[test]
fn edits_in_place_and_by_rename_under_load() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let load = load(&gateway, 2, "a");
    for round in 0..5 {
        let (first, second) = (format!("w{round}"), format!("r{round}"));
        gateway.write_config(&with_route(&first));
        wait_for_route(&gateway, &first);
        gateway.rename_config(&with_route(&second));
        wait_for_route(&gateway, &second);
        assert_eq!(gateway.get(&format!("/{first}")).status, 404);
    }
    load.wait_for_more(50);
    load.stop_without_failure();
}

/// As Kubernetes mounts a `ConfigMap`: the file links through `..data`, and only that link is replaced.
#[test]
fn link_swaps() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let folder = gateway.folder();
    publish(folder, "r1", &gateway.render(STAY));
    let aside = folder.join("aside-link");
    symlink("..data/swapgate.yaml", &aside).unwrap();
    fs::rename(aside, gateway.config_file()).unwrap();
    for revision in ["r2", "r3", "r4"] {
        publish(folder, revision, &gateway.render(&with_route(revision)));
        wait_for_route(&gateway, revision);
    }
    assert_eq!(gateway.get("/r3").status, 404);
}

fn publish(folder: &Path, revision: &str, text: &str) {
    let set = folder.join(format!("..{revision}"));
    fs::create_dir(&set).unwrap();
    fs::write(set.join("swapgate.yaml"), text).unwrap();
    let next = folder.join("..data_tmp");
    symlink(format!("..{revision}"), &next).unwrap();
    fs::rename(next, folder.join("..data")).unwrap();
}

/// No event tells about the target of a link into another folder; looking now and then finds it.
#[test]
fn a_link_into_another_folder() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yaml");
    fs::write(&real, gateway.render(STAY)).unwrap();
    let aside = gateway.folder().join("aside-link");
    symlink(&real, &aside).unwrap();
    fs::rename(aside, gateway.config_file()).unwrap();
    fs::write(&real, gateway.render(&with_route("far"))).unwrap();
    wait_for_route(&gateway, "far");
}

/// The text is the same, what it includes is not: only a signal says so.
#[test]
fn a_signal_reads_included_files_again() {
    let a = named("a");
    let text = format!(
        "{STAY}plugins: [{{name: headers, config: {{response: {{set: {{x-secret: \"${{file:secret}}\"}}}}}}}}]\n"
    );
    let prepared = Gateway::with(STAY).set("a", a.address()).plugin("headers");
    let gateway = prepared.start();
    let write = |secret: &str| fs::write(gateway.folder().join("secret"), secret).unwrap();
    write("one");
    gateway.reload_published(&text);
    assert_eq!(gateway.get("/stay").header("x-secret").unwrap(), "one");
    for secret in ["two", "three"] {
        write(secret);
        gateway.signal(Signal::HUP);
        gateway.wait_for_answers(&format!("the secret {secret}"), "/stay", |answer| {
            answer.header("x-secret").as_deref() == Some(secret)
        });
    }
    assert!(
        !gateway.log().contains("three"),
        "secrets stay out of the log"
    );
}

#[test]
fn a_signal_without_any_change_changes_nothing_for_clients() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let load = load(&gateway, 2, "a");
    for _ in 0..5 {
        let generation = gateway.generation();
        gateway.signal(Signal::HUP);
        gateway.wait_for_generation_after(generation);
    }
    load.wait_for_more(20);
    load.stop_without_failure();
}

/// The log of the harness stands in the folder of the file, so each line of it is an event: a file that is gone must not
/// become a line that becomes a look that becomes a line.
#[test]
fn a_file_that_is_gone_is_said_once() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let load = load(&gateway, 1, "a");
    fs::remove_file(gateway.config_file()).unwrap();
    let status = gateway.wait_for_status("a refusal", |status| {
        status["last_change"]["outcome"] == "refused"
    });
    let errors = status["last_change"]["errors"].to_string();
    assert!(errors.contains("cannot be read"), "{errors}");
    // Events go on coming meanwhile.
    for number in 0..50 {
        fs::write(gateway.folder().join("noise"), number.to_string()).unwrap();
        let _ = gateway.get("/stay");
        load.wait_for_more(5);
    }
    assert_eq!(
        gateway.last_change()["number"],
        status["last_change"]["number"],
        "one refusal for one removal"
    );
    gateway.write_config(STAY);
    gateway.wait_for_status("the same file, there again", |status| {
        status["last_change"]["outcome"] == "published"
    });
    load.stop_without_failure();
}
