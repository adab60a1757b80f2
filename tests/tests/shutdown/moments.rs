//! Signals at bad moments.

use rustix::process::Signal;
use swapgate_tests::gateway::Builder;
use swapgate_tests::process::{children, is_alive};
use swapgate_tests::{Client, Load, Patched, Upstream, artifacts, eventually, wait_for};

use super::before;

/// A plugin whose constructor never returns: its preflight hangs until its limit.
fn hanging() -> Patched {
    Patched::read(&artifacts::plugin("faulty")).fault("constructor=hang")
}

const WITH_HANGING: &str = "\
loader: {preflight_timeout: 50s}
plugins: [{name: faulty}]
";

fn starting(upstream: &Upstream) -> Builder {
    before(upstream, WITH_HANGING).plugin_bytes("libfaulty.so", hanging().bytes())
}

#[test]
fn while_a_preflight_hangs_at_the_start() {
    for signal in [Signal::TERM, Signal::INT] {
        let upstream = Upstream::echo();
        let launch = starting(&upstream).launch();
        let child = wait_for("the preflight", || children(launch.pid()).first().copied());
        for _ in 0..5 {
            launch.signal(Signal::HUP);
        }
        assert!(!launch.has_announced());
        launch.signal(signal);
        assert_eq!(launch.wait_for_end().code, Some(0));
        eventually!(!is_alive(child), "the preflight to go with its gateway");
    }
}

#[test]
fn while_a_preflight_hangs_in_a_reload() {
    let upstream = Upstream::echo();
    let mut gateway = before(&upstream, "loader: {preflight_timeout: 50s}")
        .plugin_bytes("libfaulty.so", hanging().bytes())
        .start();
    let mut kept = gateway.client();
    assert_eq!(kept.get("/").status, 200);
    gateway.rename_config(&format!(
        "\
workers: 2
{WITH_HANGING}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
"
    ));
    let child = wait_for("the preflight", || children(gateway.pid()).first().copied());
    assert_eq!(kept.get("/").status, 200, "traffic goes on");
    assert_eq!(gateway.admin("/readyz").status, 200, "and so does admin");
    assert_eq!(gateway.terminate().code(), Some(0));
    kept.expect_closed();
    eventually!(!is_alive(child), "the preflight to go with its gateway");
}

/// Before the gateway takes its signals, the system's own answer holds: the process ends. Never does it crash.
#[test]
fn right_after_the_start() {
    let upstream = Upstream::echo();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        for spins in 0..8 {
            let launch = before(&upstream, "").launch();
            // No pause is meant here: only different moments, whatever they are.
            for _ in 0..spins * 4 {
                let _ = launch.log();
            }
            launch.signal(signal);
            if signal == Signal::HUP && launch.has_announced() {
                let mut gateway = launch.wait_until_it_serves();
                assert_eq!(gateway.get("/").status, 200);
                assert_eq!(gateway.terminate().code(), Some(0));
                continue;
            }
            let ended = match signal {
                Signal::HUP => {
                    launch.signal(Signal::TERM);
                    launch.wait_for_end()
                }
                _ => launch.wait_for_end(),
            };
            assert!(matches!(ended.code, Some(0) | None), "{ended:?}");
            assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        }
    }
}

#[test]
fn a_storm_of_hangups_and_edits_under_load() {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let mut gateway = before(&upstream, "").start();
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let load = Load::start(gateway.address(), 4, request, |answer| {
        match answer.status {
            200 => Ok(()),
            status => Err(format!("status {status}")),
        }
    });
    let text = |number: usize| {
        let service = ["up", "nobody"][number % 2];
        format!(
            "\
workers: 2
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}, {{name: r{number}, service: {service}, paths: [/r{number}]}}]
"
        )
    };
    for number in 0..100 {
        gateway.rename_config(&text(number));
        for _ in 0..10 {
            gateway.signal(Signal::HUP);
        }
        if number % 5 == 0 {
            load.wait_for_more(10);
        }
    }
    gateway.rename_config(&text(1000));
    eventually!(
        gateway.last_change()["outcome"] == "published" && gateway.get("/r1000").status == 200
    );
    load.stop_without_failure();
    // And the last one comes with a signal to end, in the middle of it.
    gateway.rename_config(&text(1002));
    gateway.signal(Signal::HUP);
    gateway.signal(Signal::TERM);
    gateway.signal(Signal::HUP);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    assert!(!gateway.log().contains("panicked"));
    assert!(Client::try_connect(gateway.address()).is_err());
}
