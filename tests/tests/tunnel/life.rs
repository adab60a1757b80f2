//! Tunnels live on over reloads and swaps, and end with the gateway.

use rustix::process::Signal;
use swapgate_tests::{Client, Gateway, artifacts, eventually};

use super::{CONFIG, OPEN, agreeing, echo, expect_echo, gateway, opened};

#[test]
fn they_live_on_over_a_reload_and_a_swap() {
    let upstream = agreeing(echo);
    let config = format!("{CONFIG}plugins: [{{name: pass}}]\n");
    let gateway = Gateway::with(&config)
        .set("up", upstream.address())
        .plugin("pass")
        .start();
    let mut first: Vec<Client> = (0..50).map(|_| opened(&gateway)).collect();
    let old = gateway.generation();
    gateway.reload_published(&config.replace("upgrades: []", "upgrades: [other]"));
    let mut second: Vec<Client> = (0..50).map(|_| opened(&gateway)).collect();
    let before = gateway.generation();
    let swapped = std::fs::read(artifacts::plugin("pass")).expect("the file was built");
    // Bytes after its end make it another file with the same code.
    gateway
        .plugins()
        .rename(&[&swapped[..], b"2"].concat(), "libpass.so");
    gateway.wait_for_generation_after(before);
    for client in first.iter_mut().chain(&mut second) {
        expect_echo(client, "still here");
    }
    let status = gateway.status();
    assert_eq!(status["draining"][0]["generation"], old, "{status}");
    assert_eq!(gateway.metrics().value(OPEN), Some(100.0));
    drop((first, second));
    gateway.wait_for_status("nothing draining", |status| {
        status["draining"].as_array().is_some_and(Vec::is_empty)
    });
    gateway.wait_for_metric(OPEN, 0.0);
    eventually!(upstream.open_connections() == 0);
}

#[test]
fn a_shutdown_waits_for_them() {
    let upstream = agreeing(echo);
    let mut gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    gateway.signal(Signal::TERM);
    eventually!(Client::try_connect(gateway.address()).is_err());
    expect_echo(&mut client, "until I am done");
    drop(client);
    assert_eq!(gateway.wait_for_end().code(), Some(0));
    assert!(gateway.log_messages().iter().any(|line| line == "drained"));
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let upstream = agreeing(echo);
    let mut gateway = Gateway::with(&format!("{CONFIG}drain: {{shutdown: 300ms}}\n"))
        .set("up", upstream.address())
        .start();
    let mut client = opened(&gateway);
    expect_echo(&mut client, "hello");
    gateway.signal(Signal::TERM);
    client.expect_closed();
    gateway.wait_for_end();
    eventually!(upstream.open_connections() == 0);
}
