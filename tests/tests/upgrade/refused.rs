//! What keeps a new process from taking over, and what is said of it.

use rustix::process::Signal;

use super::clients::Clients;
use super::world::{World, command};

#[test]
fn a_new_process_that_fails_leaves_the_old_one_serving() {
    for supervised in [false, true] {
        let world = World::start(supervised, "drain: {upgrade: 10m}");
        world.put_script("exit 3");
        world.is_refused("the new process ended with exit code 3");
        world.put_file("no program", 0o755);
        world.is_refused("cannot be started");
        std::fs::remove_file(world.executable()).expect("the file is ours");
        world.is_refused("No such file or directory");
        // Only who is never ready is waited for in vain; a real one has the time of a busy machine again.
        world.changes_to(&world.text.replace("upgrade: 10m", "upgrade: 2s"));
        world.put_script("exec sleep 1000");
        world.is_refused("the new process was not ready within 2s");
        world.changes_to(&world.text);
        world.put_gateway();
        world.is_alone();
        let _ = world.upgrades();
        world.is_alone();
    }
}

#[test]
fn a_reload_says_how_long_the_next_upgrade_may_take() {
    for supervised in [false, true] {
        let world = World::start(supervised, "drain: {upgrade: 10m}");
        world.changes_to(&world.text.replace("upgrade: 10m", "upgrade: 2s"));
        world.put_script("exec sleep 1000");
        world.is_refused("the new process was not ready within 2s");
    }
}

#[test]
fn a_broken_configuration_is_told_with_its_errors() {
    for supervised in [false, true] {
        let world = World::start(supervised, "");
        let broken = world.text.replace("workers: 2", "workers: many");
        world.gateway.rename_whole_config(&broken);
        world.is_refused("workers");
        world.is_refused("exit code 2");
        world.gateway.rename_whole_config(&world.text);
        let _ = world.upgrades();
    }
}

/// A start publishes what it can; in an upgrade that would be less than what is served.
#[test]
fn a_plugin_that_the_new_process_would_not_have_keeps_it_from_taking_over() {
    for supervised in [false, true] {
        let world = World::with(supervised, "plugins: [{name: pass}]", |builder| {
            builder.plugin("pass")
        });
        let file = world.gateway.plugins().file("libpass.so");
        let aside = world.gateway.folder().join("libpass.kept");
        std::fs::rename(&file, &aside).expect("the folder is ours");
        world.is_refused("less could be served than before the upgrade: ");
        assert_eq!(world.gateway.get("/").status, 200);
        std::fs::rename(&aside, &file).expect("the folder is ours");
        let _ = world.upgrades();
        assert_eq!(world.gateway.get("/").status, 200);
    }
}

#[test]
fn a_gateway_that_ends_says_so_to_whoever_asks() {
    for supervised in [false, true] {
        let mut world = World::start(supervised, "drain: {shutdown: 60s}");
        let tunnel = world.tunnel();
        let serving = world.gateway.serving();
        world.gateway.signal(Signal::TERM);
        world
            .gateway
            .wait_for_status("the drain", |status| !status["drain"].is_null());
        let (code, text) = command(&world, &["--wait", "30"]);
        assert_eq!(code, Some(1), "{text}");
        let said = format!("no upgrade of process {serving}, swapgate ");
        assert!(text.starts_with(&said), "{text}");
        assert!(text.ends_with("because the gateway ends\n"), "{text}");
        drop(tunnel);
        assert!(world.gateway.wait_for_end().success());
    }
}

/// The first worker of it has a thread by then, and must not have accepted anything.
#[test]
fn a_new_process_without_threads_fails_before_its_turn() {
    for supervised in [false, true] {
        let world = World::with(supervised, "", |builder| {
            let points = builder.path("points");
            std::fs::create_dir(&points).expect("the folder is ours");
            let points = points.display().to_string();
            builder.environment("SWAPGATE_FAULT_POINTS", &points)
        });
        let clients = Clients::start(&world);
        clients.wait_for_more(50);
        let point = world.gateway.folder().join("points/thread-1");
        std::fs::write(point, "").expect("the folder is ours");
        world.is_refused("cannot start the workers: fault point thread-1");
        let log = world.gateway.log();
        assert!(!log.contains("and it is its turn"), "{log}");
        clients.wait_for_more(50);
        let _ = world.upgrades();
        world.gateway.wait_for_log("is ready, and it is its turn");
        let _ = clients.stop_without_loss();
        world.is_alone();
    }
}
