//! Signals at bad moments, beside those of `tests/shutdown`.

use rustix::process::Signal;
use swapgate_tests::{Gate, Gateway, Upstream, wait_until};

use crate::world::{load, prepared, rests};

/// The state of the process, as proc(5) has it.
fn state(gateway: &Gateway) -> char {
    let file = format!("/proc/{}/stat", gateway.pid().as_raw_nonzero());
    let stat = std::fs::read_to_string(file).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().trim();
    fields.chars().next().unwrap_or('?')
}

#[test]
fn stopped_and_continued() {
    let (builder, _upstream) = prepared("");
    let mut gateway = builder.start();
    let load = load(&gateway);
    for _ in 0..5 {
        load.wait_for_more(20);
        gateway.signal(Signal::STOP);
        wait_until("it to stand still", || state(&gateway) == 'T');
        // They connect all the same, and wait.
        let mut waiting = gateway.client();
        waiting.send("GET /waiting HTTP/1.1\r\nhost: test\r\n\r\n");
        gateway.signal(Signal::CONT);
        assert_eq!(waiting.expect_response().status, 200);
    }
    load.wait_for_more(20);
    let _ = load.stop_without_failure();
    rests(&gateway);
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[test]
fn those_that_mean_nothing() {
    let (builder, _upstream) = prepared("");
    let mut gateway = builder.start();
    let load = load(&gateway);
    for _ in 0..20 {
        for signal in [Signal::PIPE, Signal::CHILD, Signal::WINCH, Signal::CONT] {
            gateway.signal(signal);
        }
        load.wait_for_more(5);
    }
    let _ = load.stop_without_failure();
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[test]
fn a_storm_of_hangups_while_it_drains() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        held.pass();
        request.to_answer()
    });
    let mut gateway = Gateway::with(&crate::world::config(""))
        .set("up", upstream.address())
        .start();
    let mut running = gateway.client();
    running.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    gate.wait_for_arrival();
    gateway.signal(Signal::TERM);
    gateway.wait_for_log("draining");
    for _ in 0..500 {
        gateway.signal(Signal::HUP);
    }
    assert_eq!(gateway.admin("/healthz").status, 200);
    gate.open();
    assert_eq!(running.expect_response().status, 200);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    assert!(!gateway.log().contains("panicked"));
}

#[test]
fn a_storm_of_hangups_while_it_starts() {
    for _ in 0..3 {
        let (builder, _upstream) = prepared("");
        let launch = builder.launch();
        // Before it takes its signals the system's own answer holds, so the storm begins once it has begun to log.
        let handled = || {
            let file = format!("/proc/{}/status", launch.pid().as_raw_nonzero());
            let status = std::fs::read_to_string(file).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        };
        wait_until("it to take SIGHUP", || {
            handled().is_some_and(|mask| mask & 1 == 1)
        });
        while !launch.has_announced() {
            launch.signal(Signal::HUP);
        }
        let mut gateway = launch.wait_until_it_serves();
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(gateway.terminate().code(), Some(0));
        assert!(!gateway.log().contains("panicked"));
    }
}
