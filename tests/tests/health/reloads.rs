//! What is known of targets outlives reloads, and goes with what it was for.

use swapgate_tests::unreachable::Refusing;
use swapgate_tests::{Client, Gate, Gateway, Upstream, eventually};

use super::world::{SOON, before, series, target, text, wait_for_state};

const PASSIVE: &str =
    "health: {passive: {failures: 1, eject: 1h, max_eject: 1h, max_ejected: 100}}";

/// A gateway whose first target was ejected, and whose second one is well.
fn ejected(keys: &str) -> (Gateway, [Refusing; 2], String) {
    let targets = [Refusing::new(), Refusing::new()];
    let gateway = before(keys, 2)
        .set("0", targets[0].address())
        .set("1", targets[1].address())
        .start();
    let address = targets[0].address().to_string();
    swapgate_tests::wait_for("the first to be ejected", || {
        let _ = gateway.get("/");
        target(&gateway, &address).filter(|one| one["state"] == "ejected")
    });
    (gateway, targets, address)
}

#[test]
fn a_reload_keeps_who_is_out() {
    let (gateway, _targets, address) = ejected(PASSIVE);
    let before = target(&gateway, &address).expect("there");
    let changed = text(PASSIVE, 2).replace("name: all", "name: everything");
    gateway.reload_published(&changed);
    assert_eq!(target(&gateway, &address).expect("there"), before);
    gateway.reload_published(&text(&PASSIVE.replace("failures: 1", "failures: 2"), 2));
    assert_eq!(target(&gateway, &address).expect("there"), before);
}

#[test]
fn a_reload_that_ends_ejections_leaves_nobody_out() {
    let (gateway, _targets, address) = ejected(PASSIVE);
    gateway.reload_published(&text("", 2));
    assert_eq!(target(&gateway, &address).expect("there")["state"], "up");
    gateway.wait_for_log(&format!(
        "target {address} of upstream up is back in rotation: targets are not ejected any more"
    ));
    gateway.wait_for_metric(&series("swapgate_upstream_target_up", &address, ""), 1.0);
}

#[test]
fn a_reload_that_ends_checks_leaves_nobody_out() {
    let gone = Refusing::new();
    let keys = format!("health: {{active: {{{SOON}}}}}");
    let gateway = before(&keys, 1).set("0", gone.address()).start();
    let address = gone.address().to_string();
    wait_for_state(&gateway, &address, "down");
    gateway.reload_published(&text("", 1));
    let after = target(&gateway, &address).expect("there");
    assert_eq!(after["state"], "up");
    assert!(after["last_check"].is_null(), "{after}");
    gateway.wait_for_log("is back in rotation: it is not checked any more");
    // And checks that begin anew begin at nothing.
    gateway.reload_published(&text(&keys, 1));
    wait_for_state(&gateway, &address, "down");
}

#[test]
fn checks_go_on_as_they_are_configured_now() {
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let keys = |path: &str| format!("health: {{active: {{path: {path}, {SOON}}}}}");
    let gateway = before(&keys("/one"), 1)
        .set("0", upstream.address())
        .start();
    upstream.wait_for_requests(2);
    gateway.reload_published(&text(&keys("/two"), 1));
    let _ = upstream.take_requests();
    upstream.wait_for_requests(5);
    let asked = upstream.take_requests();
    // One that was on its way at the reload may come to its end.
    let old = asked.iter().filter(|one| one.target == "/one").count();
    assert!(old <= 1, "{old}");
    gateway.reload_published(&text("", 1));
    eventually!(upstream.open_connections() == 0);
}

#[test]
fn a_target_removed_while_it_is_out_comes_back_as_a_new_one() {
    let (gateway, targets, address) = ejected(PASSIVE);
    let only = |at: usize| {
        text(PASSIVE, 2)
            .replace(&format!("{{address: \"@{at}@\"}}"), "")
            .replace("[, ", "[")
            .replace(", ]", "]")
    };
    gateway.reload_published(&only(0));
    // Nobody uses it, so it is gone as soon as the workers have changed over.
    eventually!(target(&gateway, &address).is_none());
    eventually!({
        let metrics = gateway.metrics();
        metrics
            .value(&series("swapgate_upstream_target_up", &address, ""))
            .is_none()
    });
    // Its place among the ejected is free.
    let other = targets[1].address().to_string();
    swapgate_tests::wait_for("the other one to be ejected", || {
        let _ = gateway.get("/");
        target(&gateway, &other).filter(|one| one["state"] == "ejected")
    });
    gateway.reload_published(&text(PASSIVE, 2));
    assert_eq!(target(&gateway, &address).expect("there")["state"], "up");
}

#[test]
fn a_target_that_left_is_shown_while_somebody_is_there() {
    let gate = Gate::new();
    let held = gate.clone();
    let slow = Upstream::start(move |conversation| {
        let _ = conversation.receive()?;
        held.pass();
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    });
    let next = Upstream::echo();
    let patient = |at: usize| {
        let other = format!("{{address: \"@{}@\"}}", 1 - at);
        text("", 2)
            .replace(&other, "")
            .replace("[, ", "[")
            .replace(", ]", "]")
    };
    let gateway = Gateway::with(&patient(0))
        .set("0", slow.address())
        .set("1", next.address())
        .start();
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    gate.wait_for_arrival();
    gateway.reload_published(&patient(1));
    let address = slow.address().to_string();
    let leaving = wait_for_state(&gateway, &address, "draining");
    assert!(leaving["weight"].is_null(), "{leaving}");
    assert_eq!(
        gateway
            .metrics()
            .value(&series("swapgate_upstream_target_up", &address, "")),
        None
    );
    gate.open();
    assert_eq!(client.expect_response().status, 200);
    drop(client);
    eventually!(target(&gateway, &address).is_none());
}
