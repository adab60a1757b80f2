//! Routes, services and upstreams that come, go and change while clients ask.

use swapgate_tests::Gateway;

use super::{STAY, load, named};

#[test]
fn routes_come_and_go() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let load = load(&gateway, 3, "a");
    let mut kept = gateway.client();
    for _ in 0..10 {
        assert_eq!(kept.get("/new").status, 404);
        gateway.reload_published(&format!(
            "{STAY}  - {{name: new, service: a, paths: [/new]}}\n"
        ));
        assert_eq!(kept.get("/new").status, 200);
        gateway.reload_published(STAY);
    }
    load.wait_for_more(20);
    load.stop_without_failure();
}

#[test]
fn services_and_upstreams_come_and_go() {
    let (a, b) = (named("a"), named("b"));
    let gateway = Gateway::with(STAY)
        .set("a", a.address())
        .set("b", b.address())
        .start();
    let load = load(&gateway, 3, "a");
    let with_b = |service: &str| {
        format!(
            "\
workers: 2
upstreams: [{{name: b, targets: [{{address: \"@b@\"}}]}}, {{name: a, targets: [{{address: \"@a@\"}}]}}]
services: [{{name: b, upstream: b}}, {{name: a, upstream: a}}]
routes:
  - {{name: moved, service: {service}, paths: [/moved]}}
  - {{name: stay, service: a, paths: [/stay]}}
"
        )
    };
    let mut kept = gateway.client();
    for _ in 0..5 {
        gateway.reload_published(&with_b("b"));
        assert_eq!(kept.get("/moved").text(), "b");
        gateway.reload_published(&with_b("a"));
        assert_eq!(kept.get("/moved").text(), "a");
        gateway.reload_published(STAY);
        assert_eq!(kept.get("/moved").status, 404);
    }
    load.wait_for_more(20);
    load.stop_without_failure();
    assert!(
        a.connections() <= 2 * 4,
        "kept connections outlive reloads: {}",
        a.connections()
    );
}

/// An exchange ends with the configuration it began with, although its route, service and upstream are gone.
#[test]
fn a_running_exchange_outlives_its_route() {
    use swapgate_tests::{Gate, Upstream};
    let gate = Gate::new();
    let held = gate.clone();
    let slow = Upstream::start(move |conversation| {
        let request = conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")?;
        held.pass();
        conversation.send("lf")?;
        drop(request);
        Ok(())
    });
    let a = named("a");
    let gateway = Gateway::with(STAY)
        .set("a", a.address())
        .set("slow", slow.address())
        .start();
    let with_slow = "\
workers: 2
upstreams: [{name: a, targets: [{address: \"@a@\"}]}, {name: slow, targets: [{address: \"@slow@\"}]}]
services: [{name: a, upstream: a}, {name: slow, upstream: slow}]
routes:
  - {name: stay, service: a, paths: [/stay]}
  - {name: slow, service: slow, paths: [/slow]}
";
    gateway.reload_published(with_slow);
    let old = gateway.generation();
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    gate.wait_for_arrival();
    gateway.reload_published(STAY);
    let status = gateway.wait_for_status("the old generation to drain", |status| {
        status["draining"][0]["generation"] == old
    });
    assert_eq!(status["draining"][0]["workers"], 1);
    gate.open();
    assert_eq!(client.expect_response().text(), "half");
    gateway.wait_for_status("the old generation to be gone", |status| {
        status["draining"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(client.get("/slow").status, 404);
}
