//! `run --supervised`: a plugin that ends the process ends one child of it; the sockets stay, and somebody is to blame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{
    Client, Gateway, Patched, Upstream, artifacts, process, wait_for, wait_until,
};

const HIT: &str =
    "GET / HTTP/1.1\r\nHost: test\r\nx-fault: 1\r\nx-request-id: the-one-that-hit\r\n\r\n";

/// A supervised gateway with the faulty plugin on its one route.
fn prepared(settings: &str, faults: &str) -> (Builder, Upstream) {
    let upstream =
        Upstream::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nup\n".to_vec());
    let builder = Gateway::with(&config(settings, faults)).set("up", upstream.address());
    (builder.argument("--supervised"), upstream)
}

fn config(settings: &str, faults: &str) -> String {
    format!(
        "\
workers: 2
trusted_addresses: [127.0.0.1]
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, plugins: [{{name: faulty, config: {{{faults}}}}}]}}]
"
    )
}

fn faulty() -> Patched {
    Patched::read(&artifacts::plugin("faulty"))
}

/// Sends a request that ends the child, on a connection of its own; nobody answers it.
fn hit(gateway: &Gateway) {
    let mut client = gateway.client();
    client.send(HIT);
    let _ = client.read_to_end();
}

fn status_of(gateway: &Gateway) -> Option<u16> {
    let mut client =
        Client::try_connect(gateway.address()).expect("no connection attempt is refused");
    client
        .try_send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .ok()?;
    Some(client.read_response("GET").ok()?.status)
}

/// The lines of the log with this text, as JSON.
fn lines(gateway: &Gateway, text: &str) -> Vec<Value> {
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn child(gateway: &Gateway) -> u32 {
    wait_for("a child that serves", || {
        process::children(gateway.pid()).first().copied()
    })
}

/// Clients that connect, ask and close, over and over; a connection that is refused is counted, an answer that does not come
/// is not.
struct Knocking {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Knocking {
    fn start(address: SocketAddr) -> Self {
        let (stop, refused, answered) = (Arc::default(), Arc::default(), Arc::default());
        let mut knocking = Self {
            stop,
            refused,
            answered,
            threads: Vec::new(),
        };
        for _ in 0..3 {
            let stop = Arc::clone(&knocking.stop);
            let refused = Arc::clone(&knocking.refused);
            let answered = Arc::clone(&knocking.answered);
            knocking.threads.push(thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok(mut client) = Client::try_connect(address) else {
                        refused.fetch_add(1, Ordering::SeqCst);
                        continue;
                    };
                    let sent = client.try_send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
                    let answer = sent.and_then(|()| client.read_response("GET"));
                    if answer.is_ok_and(|answer| answer.status == 200) {
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }));
        }
        knocking
    }

    fn wait_for_more(&self) {
        let goal = self.answered.load(Ordering::SeqCst) + 20;
        wait_until("more answers", || {
            self.answered.load(Ordering::SeqCst) >= goal
        });
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        self.refused.load(Ordering::SeqCst)
    }
}

#[test]
fn a_crash_is_reported_and_nobody_is_refused_until_the_third_one_holds() {
    let (builder, _upstream) = prepared("", "access: segv, when: x-fault");
    let mut gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let knocking = Knocking::start(gateway.address());
    knocking.wait_for_more();
    for crash in 1..=2 {
        let before = child(&gateway);
        hit(&gateway);
        wait_until("the report", || {
            lines(&gateway, "starting again").len() == crash
        });
        wait_until("another child", || child(&gateway) != before);
        knocking.wait_for_more();
    }
    let line = lines(&gateway, "starting again").remove(0);
    let text = line["message"].as_str().expect("a message").to_owned();
    assert!(
        text.starts_with("plugin faulty@0.1.0 crashed in access of route all at request the-one-that-hit (SIGSEGV at 0x"),
        "{text}"
    );
    assert_eq!(line["plugin"], "faulty@0.1.0");
    assert_eq!(line["image"], "faulty@0.1.0");
    assert_eq!(line["request_id"], "the-one-that-hit");
    for line in lines(&gateway, "serves again") {
        println!("serves again after {} ms", line["took_ms"]);
    }
    hit(&gateway);
    wait_until("503 from the third crash on", || {
        status_of(&gateway) == Some(503)
    });
    assert_eq!(knocking.stop(), 0, "connections were refused");
    gateway.wait_for_status("the quarantine", |status| {
        let refused = status["refused"].to_string();
        refused.contains("it is in quarantine: it ended the gateway 3 times")
    });

    // Over a restart of the whole gateway.
    assert_eq!(gateway.terminate().code(), Some(0));
    gateway.start_again();
    assert_eq!(status_of(&gateway), Some(503));
    hit(&gateway);
    assert_eq!(status_of(&gateway), Some(503));

    // Until an operator lets it go.
    let released = std::process::Command::new(artifacts::gateway())
        .args(["plugin", "release", "--state-dir"])
        .arg(gateway.folder().join("state"))
        .arg(gateway.plugins().file("libfaulty.so"))
        .output()
        .expect("the command runs");
    assert!(released.status.success(), "{released:?}");
    gateway.signal(Signal::HUP);
    wait_until("200 after the release", || status_of(&gateway) == Some(200));
}

#[test]
fn its_uses_fall_back_to_the_file_that_served_before() {
    let (builder, _upstream) = prepared("faults: {crashes: 1}", "when: x-fault");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let bad = faulty().version("0.2.0").fault("access=abort");
    let generation = gateway.generation();
    gateway.plugins().rename(bad.bytes(), "libfaulty.so");
    gateway.wait_for_generation_after(generation);
    hit(&gateway);
    gateway.wait_for_log(
        "plugin faulty@0.2.0 crashed in access of route all at request the-one-that-hit (SIGABRT",
    );
    gateway.wait_for_log("serves again");
    wait_until("200 by the version of before", || {
        status_of(&gateway) == Some(200)
    });
    let mut client = gateway.client();
    client.send(HIT);
    assert_eq!(client.expect_response().status, 200, "this is the old one");
}

#[test]
fn a_worker_that_hangs_is_ended_and_comes_back() {
    let (builder, _upstream) = prepared(
        "faults: {hook_budget: 100ms, hung: 1s}",
        "access: hang, when: x-fault",
    );
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let before = child(&gateway);
    hit(&gateway);
    gateway.wait_for_log("access of plugin faulty@0.1.0 has not returned");
    gateway.wait_for_log(
        "plugin faulty@0.1.0 did not return in access of route all at request the-one-that-hit",
    );
    gateway.wait_for_log("serves again");
    assert_ne!(child(&gateway), before);
    assert_eq!(status_of(&gateway), Some(200));
}

#[test]
fn a_process_that_ends_by_itself_or_is_killed_is_started_again() {
    let (builder, _upstream) = prepared("", "access: {exit: 3}, when: x-fault");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    hit(&gateway);
    gateway.wait_for_log("ended by itself");
    gateway.wait_for_log("serves again");
    kill_child(&gateway, Signal::KILL);
    gateway.wait_for_log("ended by SIGKILL without a report");
    wait_until("it serves again", || {
        lines(&gateway, "serves again").len() == 2
    });
    assert_eq!(status_of(&gateway), Some(200));
    for (count, (signal, name)) in (3..).zip([(Signal::SEGV, "SIGSEGV"), (Signal::TRAP, "SIGTRAP")])
    {
        kill_child(&gateway, signal);
        gateway.wait_for_log(&format!(
            "the gateway, outside of any plugin, crashed ({name}"
        ));
        wait_until("it serves again", || {
            lines(&gateway, "serves again").len() == count
        });
    }
    assert_eq!(status_of(&gateway), Some(200));
}

#[test]
fn exit_codes_and_signals_pass_through() {
    let refused = Gateway::with("nonsense: 1\n")
        .argument("--supervised")
        .start_refused();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let (builder, _upstream) = prepared("", "");
    let mut gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let generation = gateway.generation();
    gateway.signal(Signal::HUP);
    gateway.wait_for_generation_after(generation);
    let address = gateway.address();
    assert_eq!(gateway.terminate().code(), Some(0));
    assert!(
        Client::try_connect(address).is_err(),
        "nobody listens any more"
    );
    assert!(gateway.log().contains("drained"));
}

/// An upstream that answers when it is allowed to.
fn patient() -> (Upstream, Arc<AtomicBool>) {
    let allowed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&allowed);
    let upstream = Upstream::answering(move |_| {
        wait_until("the permission to answer", || seen.load(Ordering::SeqCst));
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nup\n".to_vec()
    });
    (upstream, allowed)
}

fn kill_child(gateway: &Gateway, signal: Signal) {
    let pid = i32::try_from(child(gateway))
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a pid"), signal).expect("it runs");
}

#[test]
fn a_signal_to_the_whole_group_is_one_request_to_end() {
    let (upstream, allowed) = patient();
    let mut gateway = Gateway::with(&config("", ""))
        .set("up", upstream.address())
        .argument("--supervised")
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.wait_for_requests(1);
    kill_child(&gateway, Signal::TERM);
    gateway.wait_for_log("draining");
    gateway.signal(Signal::TERM);
    gateway.wait_for_log("told the serving process to end");
    kill_child(&gateway, Signal::TERM);
    allowed.store(true, Ordering::SeqCst);
    assert_eq!(client.expect_response().status, 200);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    let log = gateway.log();
    assert!(log.contains("drained"), "{log}");
    assert!(!log.contains("exchanges were still running"), "{log}");
}

#[test]
fn a_second_request_to_end_does_not_wait() {
    let (upstream, allowed) = patient();
    let mut gateway = Gateway::with(&config("", ""))
        .set("up", upstream.address())
        .argument("--supervised")
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    upstream.wait_for_requests(1);
    gateway.signal(Signal::TERM);
    gateway.wait_for_log("draining");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    gateway.wait_for_log("at the second signal, told by the supervising process");
    allowed.store(true, Ordering::SeqCst);
}

#[test]
fn listeners_come_and_go_with_reloads_and_stay_over_crashes() {
    let (builder, _upstream) = prepared("", "access: abort, when: x-fault");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    let first = gateway.address();
    let plain = gateway.render(&config("", "access: abort, when: x-fault"));
    let one = "{name: public, address: \"127.0.0.1:0\"}";
    assert!(plain.contains(one), "the beginning changed");
    let two = plain.replace(
        one,
        &format!("{one}, {{name: more, address: \"127.0.0.2:0\"}}"),
    );
    let generation = gateway.generation();
    gateway.rename_whole_config(&two);
    gateway.wait_for_generation_after(generation);
    let second = gateway.current_address_of("more");

    hit(&gateway);
    gateway.wait_for_log("serves again");
    wait_until("the first listener", || status_of(&gateway) == Some(200));
    assert_eq!(
        gateway.current_address_of("public"),
        first,
        "port 0 gave the same port"
    );
    assert_eq!(gateway.current_address_of("more"), second);
    assert_eq!(Client::connect(second).get("/").status, 200);

    let generation = gateway.generation();
    gateway.rename_whole_config(&plain);
    gateway.wait_for_generation_after(generation);
    assert!(
        Client::try_connect(second).is_err(),
        "the parent let go of it as well"
    );
    assert_eq!(status_of(&gateway), Some(200));
}

#[test]
fn a_plugin_that_crashes_at_every_start_is_out_of_the_way_after_three() {
    let (builder, _upstream) = prepared("", "start: segv");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    assert_eq!(status_of(&gateway), Some(503));
    let told = lines(&gateway, "starting again");
    assert_eq!(told.len(), 3, "{told:?}");
    for line in told {
        let text = line["message"].as_str().expect("a message");
        assert!(
            text.starts_with("plugin faulty@0.1.0 crashed in start (SIGSEGV"),
            "{text}"
        );
    }
}

#[test]
fn a_stack_that_overflows_is_reported_as_well() {
    let (builder, _upstream) = prepared("", "access: overflow, when: x-fault");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    hit(&gateway);
    gateway.wait_for_log("plugin faulty@0.1.0 crashed in access of route all at request the-one-that-hit (SIGSEGV at 0x");
    gateway.wait_for_log("serves again");
    assert_eq!(status_of(&gateway), Some(200));
}

#[test]
fn a_file_that_is_wrong_at_the_time_of_a_crash_keeps_nobody_from_serving() {
    let (builder, _upstream) = prepared("", "access: abort, when: x-fault");
    let gateway = builder
        .plugin_bytes("libfaulty.so", faulty().bytes())
        .start();
    std::fs::write(gateway.config_file(), "nonsense: 1\n").expect("the folder is ours");
    hit(&gateway);
    gateway.wait_for_log("the configuration of before serves on: ");
    gateway.wait_for_log("serves again");
    assert_eq!(status_of(&gateway), Some(200));
}
