//! Words for the service manager, read from a real socket as it reads them.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::Signal;
use swapgate_tests::eventually::LIMIT;
use swapgate_tests::{Gateway, Upstream, process, wait_for};

use super::{prepared, put, routes, upgraded};

/// The service manager's side.
struct Manager(UnixDatagram);

impl Manager {
    /// At a name that no file has, as systemd has it in some settings.
    fn at_name(name: &str) -> (Self, String) {
        let name = format!("swapgate-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("the name is free");
        (Self::of(socket), format!("@{name}"))
    }

    fn at_path(folder: &std::path::Path) -> (Self, String) {
        let path = folder.join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("the folder is ours");
        (Self::of(socket), path.display().to_string())
    }

    fn of(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(LIMIT)).expect("a time");
        Self(socket)
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("something is said in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The first that begins so; and everything before it.
    #[track_caller]
    fn until(&self, beginning: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        loop {
            let said = self.next();
            if said.starts_with(beginning) {
                return (said, before);
            }
            before.push(said);
        }
    }

    /// What was said and not read yet.
    fn so_far(&self) -> Vec<String> {
        self.0.set_nonblocking(true).expect("a socket");
        let mut all = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.0.recv(&mut bytes) {
            all.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        self.0.set_nonblocking(false).expect("a socket");
        all
    }
}

#[test]
fn from_ready_over_a_reload_to_the_end() {
    let upstream = Upstream::echo();
    let builder = prepared("", "", &upstream);
    let (manager, address) = Manager::at_path(builder.folder());
    let mut gateway = builder.environment("NOTIFY_SOCKET", &address).start();
    let (ready, before) = manager.until("READY=1");
    assert_eq!(ready, "READY=1\nSTATUS=generation 1 serves");
    assert_eq!(before, [""; 0], "nothing before it");
    gateway.reload_same_by_signal();
    let (reloading, _) = manager.until("RELOADING=1\n");
    let at = reloading.split("MONOTONIC_USEC=").nth(1);
    assert!(at.is_some_and(|usec| usec.parse::<u64>().is_ok_and(|usec| usec > 0)));
    let (ready, _) = manager.until("READY=1");
    assert!(ready.contains("STATUS=generation 2 serves"), "{ready}");
    gateway.rename_config("format: 1\nlisteners: nonsense\n");
    gateway.signal(Signal::HUP);
    manager.until("RELOADING=1\n");
    let (ready, _) = manager.until("READY=1");
    assert!(
        ready.contains("generation 2 serves; refused: "),
        "what serves is ready, and why the file does not is told: {ready}"
    );
    assert!(gateway.terminate().success());
    let (stopping, _) = manager.until("STOPPING=1");
    assert!(stopping.contains("draining after SIGTERM"), "{stopping}");
}

#[test]
fn a_missing_plugin_keeps_it_from_being_ready_and_is_named() {
    let upstream = Upstream::echo();
    let (manager, address) = Manager::at_name("missing");
    let gateway = prepared("", ", plugins: [{name: headers}]", &upstream)
        .environment("NOTIFY_SOCKET", &address)
        .start();
    let said = manager.next();
    assert!(
        said.starts_with("STATUS=generation 1 not ready: "),
        "{said}"
    );
    assert!(said.contains("headers"), "{said}");
    put(&gateway, "headers");
    let (ready, before) = manager.until("READY=1");
    assert!(ready.contains("serves"), "{ready} after {before:?}");
}

fn kill(process: u32, signal: Signal) {
    let id = i32::try_from(process).ok();
    let id = id.and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(id.expect("a process"), signal).expect("it lives");
}

/// An upstream that answers once its gate is open.
fn held() -> (Upstream, swapgate_tests::Gate) {
    let gate = swapgate_tests::Gate::default();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    (upstream, gate)
}

#[test]
fn a_drain_that_takes_long_asks_for_more_time() {
    let (upstream, gate) = held();
    let builder = prepared("drain: {shutdown: 60s}\n", "", &upstream);
    let (manager, address) = Manager::at_path(builder.folder());
    let mut gateway = builder.environment("NOTIFY_SOCKET", &address).start();
    manager.until("READY=1");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    swapgate_tests::eventually!(upstream.connections() == 1);
    gateway.signal(Signal::TERM);
    manager.until("STOPPING=1");
    manager.until("EXTEND_TIMEOUT_USEC=15000000");
    gate.open();
    assert_eq!(client.expect_response().status, 200);
    assert!(gateway.wait_for_end().success());
}

#[test]
fn a_replaced_process_that_drains_on_is_not_ended_by_the_service_manager() {
    let (upstream, gate) = held();
    let builder = prepared("drain: {shutdown: 60s}\n", "", &upstream);
    let (manager, address) = Manager::at_path(builder.folder());
    let mut gateway = builder
        .argument("--supervised")
        .environment("NOTIFY_SOCKET", &address)
        .environment("WATCHDOG_USEC", "2000000")
        .start();
    manager.until("READY=1");
    let old = process::children(gateway.pid())[0];
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    swapgate_tests::eventually!(upstream.connections() == 1);
    gateway.signal(Signal::USR2);
    gateway.wait_for_log("upgrade: process ");
    // So that there is room for what follows.
    let _ = manager.so_far();
    gateway.signal(Signal::TERM);
    manager.until("STOPPING=1");
    wait_for("the end of the one that served last", || {
        (process::children(gateway.pid()) == [old]).then_some(())
    });
    let _ = manager.so_far();
    // Nobody but the supervising process is left to say so.
    manager.until("EXTEND_TIMEOUT_USEC=15000000");
    manager.until("WATCHDOG=1");
    gate.open();
    assert_eq!(client.expect_response().status, 200);
    assert!(gateway.wait_for_end().success());
}

/// The service manager goes by what it is told last: it must be the process that serves, and nothing of the old one after it.
#[test]
fn an_upgrade_tells_which_process_counts_and_that_one_speaks() {
    let upstream = Upstream::echo();
    let builder = prepared("", "", &upstream);
    let (manager, address) = Manager::at_path(builder.folder());
    let gateway = builder
        .environment("NOTIFY_SOCKET", &address)
        .environment("WATCHDOG_USEC", "2000000")
        .start();
    manager.until("READY=1");
    // The second one is of a process that was told where to speak by another.
    for _ in 0..2 {
        let serving = upgraded(&gateway, false);
        let (told, _) = manager.until("MAINPID=");
        assert_eq!(told, format!("MAINPID={serving}"));
        manager.until("WATCHDOG=1");
        let said = manager.so_far();
        assert!(
            !said.iter().any(|one| one.starts_with("STOPPING=1")),
            "the service goes on: {said:?}"
        );
        kill(serving, Signal::HUP);
        manager.until("RELOADING=1\n");
        manager.until("READY=1");
    }
    let serving = gateway.serving();
    kill(serving, Signal::TERM);
    let (stopping, _) = manager.until("STOPPING=1");
    assert!(stopping.contains("draining after SIGTERM"), "{stopping}");
}

/// The supervising process is the one that counts, before and after.
#[test]
fn an_upgrade_under_supervision_is_none_to_the_service_manager() {
    let upstream = Upstream::echo();
    let builder = prepared("", "", &upstream);
    let (manager, address) = Manager::at_path(builder.folder());
    let mut gateway = builder
        .argument("--supervised")
        .environment("NOTIFY_SOCKET", &address)
        .environment("WATCHDOG_USEC", "2000000")
        .start();
    manager.until("READY=1");
    upgraded(&gateway, true);
    let (_, before) = manager.until("READY=1");
    assert!(gateway.terminate().success());
    let (_, more) = manager.until("STOPPING=1");
    let said = [before, more].concat();
    assert!(!said.iter().any(|one| one.contains("MAINPID=")), "{said:?}");
}

#[test]
fn the_watchdog_hears_nothing_while_a_worker_stands_still() {
    let upstream = Upstream::echo();
    let builder = prepared(
        "faults: {hook_budget: 50ms, hung: 200ms}\n",
        ", plugins: [{name: faulty, config: {access: {sleep: 6000}, when: x-fault}}]",
        &upstream,
    );
    let (manager, address) = Manager::at_path(builder.folder());
    let gateway = builder
        .plugin("faulty")
        .environment("NOTIFY_SOCKET", &address)
        .environment("WATCHDOG_USEC", "20000")
        .start();
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nx-fault: 1\r\n\r\n");
    gateway.wait_for_log("the service manager is not told any more");
    let _ = manager.so_far();
    // Fifty beats would fit in.
    let uptime = || gateway.status()["uptime_s"].as_u64().expect("a number");
    let began = uptime();
    swapgate_tests::eventually!(uptime() >= began + 2);
    let said = manager.so_far();
    if !gateway.log().contains("returned after") {
        assert!(!said.iter().any(|one| one == "WATCHDOG=1"), "{said:?}");
    }
    assert_eq!(client.expect_response().status, 200);
    manager.until("WATCHDOG=1");
}

#[test]
fn under_supervision_the_parent_speaks_and_a_crash_is_no_end() {
    let upstream = Upstream::echo();
    let text = format!("workers: 2\n{}", routes(""));
    let builder = Gateway::with(&text).set("up", upstream.address());
    let (manager, address) = Manager::at_path(builder.folder());
    let mut gateway = builder
        .argument("--supervised")
        .environment("NOTIFY_SOCKET", &address)
        .environment("WATCHDOG_USEC", "100000")
        .start();
    manager.until("READY=1");
    manager.until("WATCHDOG=1");
    let child = process::children(gateway.pid())[0];
    let environment = std::fs::read(format!("/proc/{child}/environ")).expect("it lives");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("NOTIFY_SOCKET"), "{environment}");
    kill(child, Signal::KILL);
    wait_for("another child that serves", || {
        let children = process::children(gateway.pid());
        children.into_iter().find(|&one| one != child)
    });
    manager.until("READY=1");
    manager.until("WATCHDOG=1");
    assert!(gateway.terminate().success());
    let (_, before) = manager.until("STOPPING=1");
    assert!(before.iter().all(|said| !said.starts_with("STOPPING=1")));
}
