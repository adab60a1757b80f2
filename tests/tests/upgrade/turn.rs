//! A new process that is told that it is its turn and goes no further: played by a script that speaks as a gateway does.

use rustix::process::{Signal, kill_process};
use swapgate_tests::{eventually, process::is_alive};

use super::clients::Clients;
use super::world::{World, pid};

/// Enough for the script, which has nothing to do; a real gateway may take longer on a busy machine.
const SHORT: &str = "drain: {upgrade: 5s}";

/// Says that it is ready, and does with its turn what is asked for.
const SCRIPT: &str = r#"#!/usr/bin/env python3
import json, os, socket
link = socket.socket(fileno=0)
link.send(json.dumps({"hello": {"wire": 2, "version": "9.0.0", "pid": os.getpid()}}).encode())
while b'"begin"' not in socket.recv_fds(link, 1 << 16, 253)[0]:
    pass
link.send(b'"ready"')
held = []
while True:
    packet, given, _, _ = socket.recv_fds(link, 1 << 16, 253)
    if not packet:
        break
    held += given
    if packet == b'"go"' and TAKES:
        assert os.read(given[0], 1) == b"\x01"
        link.send(b'"noted"')
"#;

fn put(world: &World, takes: bool) {
    let takes = if takes { "True" } else { "False" };
    world.put_file(&SCRIPT.replace("TAKES", takes), 0o755);
}

#[test]
fn one_that_does_not_take_its_turn_never_gets_it() {
    for supervised in [false, true] {
        let world = World::start(supervised, SHORT);
        let clients = Clients::start(&world);
        clients.wait_for_more(50);
        put(&world, false);
        world.is_refused("the new process was ready and did not take its turn within 5s");
        world.is_alone();
        world.put_gateway();
        world.changes_to(&world.text.replace(SHORT, "drain: {upgrade: 10m}"));
        let _ = world.upgrades();
        let _ = clients.stop_without_loss();
    }
}

#[test]
fn one_that_took_it_is_waited_for_and_the_old_one_serves_on() {
    for supervised in [false, true] {
        let world = World::start(supervised, SHORT);
        let clients = Clients::start(&world);
        put(&world, true);
        world.ask();
        let newcomer = world.newcomer();
        world
            .gateway
            .wait_for_log("it may serve already, so it is waited for");
        clients.wait_for_more(50);
        assert!(is_alive(newcomer), "it may have accepted connections");
        kill_process(pid(newcomer), Signal::KILL).expect("it lives");
        let outcome = world.outcome_after(0);
        let why = outcome["why"].as_str().expect("a reason");
        assert!(why.contains("was ended by SIGKILL"), "{why}");
        world.put_gateway();
        world.changes_to(&world.text.replace(SHORT, "drain: {upgrade: 10m}"));
        let _ = world.upgrades();
        let _ = clients.stop_without_loss();
    }
}

#[test]
fn one_that_took_it_and_hangs_ends_with_the_rest_when_that_is_asked_for_again() {
    for supervised in [false, true] {
        let mut world = World::start(supervised, SHORT);
        put(&world, true);
        world.ask();
        let newcomer = world.newcomer();
        let gateway = &mut world.gateway;
        gateway.wait_for_log("it may serve already, so it is waited for");
        gateway.signal(Signal::TERM);
        gateway.wait_for_log("another signal ends it as well");
        assert!(is_alive(newcomer));
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait_for_end().code(), Some(0));
        eventually!(!is_alive(newcomer), "the new process to be ended");
    }
}

#[test]
fn the_end_of_the_gateway_takes_the_turn_back_where_nobody_took_it() {
    for supervised in [false, true] {
        let mut world = World::start(supervised, "drain: {upgrade: 60s}");
        put(&world, false);
        world.ask();
        let newcomer = world.newcomer();
        world.gateway.wait_for_log("is ready, and it is its turn");
        let status = world.gateway.terminate();
        assert_eq!(status.code(), Some(0));
        eventually!(!is_alive(newcomer), "the new process to be ended");
    }
}
