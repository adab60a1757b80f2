//! What becomes of the process that is replaced, and of signals and changes meanwhile.

use std::fs;

use rustix::process::{Signal, kill_process};
use swapgate_tests::port::Port;
use swapgate_tests::process::is_alive;
use swapgate_tests::{Client, eventually};

use super::world::{World, command};

#[test]
fn a_tunnel_lives_on_until_the_limit_and_the_old_process_with_it() {
    for supervised in [false, true] {
        let world = World::start(supervised, "drain: {shutdown: 4s}");
        let mut tunnel = world.tunnel();
        let (before, _) = world.upgrades();
        tunnel.send("still here");
        assert_eq!(tunnel.read_exact(10).unwrap(), b"still here");
        assert!(is_alive(before), "it waits for the tunnel");
        tunnel.expect_closed();
        eventually!(!is_alive(before), "the old process to end");
        let said = "exchanges were still running after 4s, ending them";
        world.gateway.wait_for_log(said);
        world.is_alone();
    }
}

#[test]
fn without_anything_to_wait_for_the_old_process_ends_at_once_and_well() {
    let world = World::start(true, "drain: {shutdown: 10m}");
    let (before, _) = world.upgrades();
    world
        .gateway
        .wait_for_log(&format!("process {before}, which served before, has ended"));
    assert!(world.unix().exists(), "the new process listens there");
    assert!(!is_alive(before));
}

#[test]
fn a_second_signal_meanwhile_is_told_and_changes_wait() {
    for supervised in [false, true] {
        let world = World::start(supervised, "drain: {upgrade: 10m}");
        world.put_script("exec sleep 1000");
        world.ask();
        let newcomer = world.newcomer();
        world.ask();
        world
            .gateway
            .wait_for_log("an upgrade is under way already");
        let generation = world.gateway.generation();
        let changed = world.text.replace("paths: []", "");
        let changed = format!("{changed}  # changed\nmetrics: {{max_routes: 7}}\n");
        world.gateway.rename_whole_config(&changed);
        // Long enough for a change that waits for nothing to be made.
        for _ in 0..100 {
            assert_eq!(world.gateway.generation(), generation);
        }
        kill_process(super::world::pid(newcomer), Signal::KILL).unwrap();
        let outcome = world.outcome_after(0);
        assert_eq!(outcome["outcome"], "refused", "{outcome}");
        assert_eq!(outcome["number"], 1, "the second one was none");
        eventually!(!is_alive(newcomer), "the new process to be gone");
        // It was put off until the upgrade was over.
        let after = world.gateway.wait_for_generation_after(generation);
        assert_eq!(after, generation + 1);
    }
}

#[test]
fn an_end_during_an_upgrade_ends_both() {
    for supervised in [false, true] {
        let mut world = World::start(supervised, "");
        world.put_script("exec sleep 1000");
        world.ask();
        let newcomer = world.newcomer();
        let status = world.gateway.terminate();
        assert_eq!(status.code(), Some(0));
        eventually!(!is_alive(newcomer), "the new process to be ended");
        assert!(!world.unix().exists());
    }
}

#[test]
fn an_end_after_an_upgrade_is_that_of_the_new_process() {
    let world = World::with(false, "", |builder| {
        builder.argument("--pid-file").argument("gate.pid")
    });
    let file = world.gateway.folder().join("gate.pid");
    let written = || fs::read_to_string(&file).unwrap_or_default();
    let first = world.gateway.serving();
    assert_eq!(written(), format!("{first}\n"));
    let (_, second) = world.upgrades();
    // It serves a moment before it says so there.
    eventually!(written() == format!("{second}\n"));
    kill_process(super::world::pid(second), Signal::TERM).unwrap();
    eventually!(!is_alive(second));
    assert!(
        !file.exists(),
        "it goes with the process whose number it holds"
    );
    assert!(!world.unix().exists());
    assert!(Client::try_connect(world.gateway.address()).is_err());
}

#[test]
fn a_file_that_cannot_be_written_any_more_costs_nobody_the_new_process() {
    let world = World::with(false, "", |builder| {
        fs::create_dir(builder.path("run")).expect("the folder is ours");
        builder.argument("--pid-file").argument("run/gate.pid")
    });
    fs::remove_dir_all(world.gateway.folder().join("run")).expect("it is there");
    world.upgrades();
    world
        .gateway
        .wait_for_log("cannot write the number of the process");
}

#[test]
fn a_crash_after_an_upgrade_starts_what_was_upgraded_to() {
    let world = World::start(true, "");
    let (_, second) = world.upgrades();
    // Whatever lies there by now was never asked for.
    world.put_script("exit 1");
    kill_process(super::world::pid(second), Signal::KILL).unwrap();
    world.gateway.wait_for_log("serves again");
    assert_eq!(world.gateway.get("/").status, 200);
    world.is_refused("exit code 1");
    world.put_gateway();
    let _ = world.upgrades();
}

#[test]
fn what_a_reload_refuses_an_upgrade_applies() {
    for supervised in [false, true] {
        let world = World::start(supervised, "");
        let port = Port::take();
        let admin = port.address();
        let text = world.text.replace(
            "admin: {address: \"127.0.0.1:0\"}",
            &format!("admin: {{address: \"{admin}\"}}"),
        );
        let line = text
            .lines()
            .find(|line| line.contains("name: local"))
            .expect("a listener");
        let text = text.replace(&format!("{line}\n"), "");
        let refused = world.gateway.admin_address();
        world.gateway.rename_whole_config(&text);
        world
            .gateway
            .wait_for_status("the reload to be refused", |status| {
                status["last_change"]["outcome"] == "refused"
            });
        assert!(world.unix().exists());
        world.ask();
        eventually!(Client::try_connect(admin).is_ok());
        eventually!(
            !world.unix().exists(),
            "the file of a listener that is gone to go"
        );
        eventually!(Client::try_connect(refused).is_err());
        assert_eq!(world.gateway.get("/").status, 200);
    }
}

#[test]
fn the_command_tells_how_it_went() {
    for supervised in [false, true] {
        let world = World::start(supervised, "");
        let (code, text) = command(&world, &[]);
        assert_eq!(code, Some(0), "{text}");
        let serving = world.gateway.serving();
        assert!(
            text.starts_with(&format!("process {serving} serves, swapgate ")),
            "{text}"
        );
        world.put_script("exit 9");
        let (code, text) = command(&world, &[]);
        assert_eq!(code, Some(1), "{text}");
        let said = format!("process {serving} serves on, swapgate ");
        assert!(
            text.starts_with(&said) && text.contains("exit code 9"),
            "{text}"
        );
        let own = std::process::id().to_string();
        let (code, text) = command(&world, &["--pid", &own]);
        assert_eq!(code, Some(1));
        assert!(
            text.contains("is no gateway that can be upgraded"),
            "{text}"
        );
    }
}
