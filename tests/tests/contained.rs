//! Panics of the gateway's own code beside the sequence of an exchange: in a tunnel, in a function that a plugin calls, in the
//! look-up of a name. Each is counted where it was caught, and what is left goes on.

use std::fs;

use swapgate_tests::gateway::Builder;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Dns, Gateway, Upstream, wait_until};

const POINTS: &str = "points";

const CONFIG: &str = "\
workers: 1
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
- {name: all, service: up, upgrades: [echo/1]}
- {name: edited, service: up, paths: [/edited], plugins: [{name: headers, config: {response: {set: {x-edited: \"yes\"}}}}]}
";

fn prepared(config: &str) -> Builder {
    let builder = Gateway::with(config).environment("SWAPGATE_FAULT_POINTS", POINTS);
    fs::create_dir(builder.path(POINTS)).expect("the folder is ours");
    builder
}

/// Has the next one who comes to this place panic.
fn arm(gateway: &Gateway, point: &str) {
    fs::write(gateway.folder().join(POINTS).join(point), "").expect("the folder is there");
}

#[track_caller]
fn counted(gateway: &Gateway, part: &str) {
    gateway.wait_for_metric(&format!("swapgate_panics_total{{where=\"{part}\"}}"), 1.0);
}

#[test]
fn a_tunnel_that_panics_costs_its_two_connections() {
    const OPEN: &str = "swapgate_tunnels{route=\"all\",service=\"up\"}";
    let upstream = Upstream::start(|conversation| {
        let request = conversation.receive()?;
        if request.headers.get("upgrade").is_none() {
            return conversation.send(request.to_answer());
        }
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        )?;
        loop {
            let byte = conversation.receive_exact(1)?;
            conversation.send(byte)?;
        }
    });
    let gateway = prepared(CONFIG)
        .set("up", upstream.address())
        .plugin("headers")
        .start();
    let mut tunnels = [gateway.client(), gateway.client()];
    for client in &mut tunnels {
        client
            .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n");
        let head = client.read_head().expect("an answer");
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            head.escape_ascii()
        );
        assert_eq!(client.send("a").read_exact(1).expect("an echo"), b"a");
    }
    gateway.wait_for_metric(OPEN, 2.0);
    arm(&gateway, "tunnel");
    let [lost, kept] = &mut tunnels;
    lost.send("b");
    let end = lost.read_to_end();
    assert!(matches!(end, Ok(_) | Err(WireError::Reset(_))), "{end:?}");
    counted(&gateway, "connection");
    gateway.wait_for_metric(OPEN, 1.0);
    wait_until("the upstream is told", || upstream.open_connections() == 1);
    assert_eq!(kept.send("b").read_exact(1).expect("an echo"), b"b");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_function_that_panics_fails_the_plugin_that_called_it() {
    let upstream = Upstream::echo();
    let gateway = prepared(CONFIG)
        .set("up", upstream.address())
        .plugin("headers")
        .start();
    let answer = gateway.get("/edited");
    assert_eq!(answer.header("x-edited").as_deref(), Some("yes"));
    arm(&gateway, "host_function");
    assert_eq!(gateway.get("/edited").status, 500, "nothing fails open");
    counted(&gateway, "host_function");
    let answer = gateway.get("/edited");
    assert_eq!(answer.header("x-edited").as_deref(), Some("yes"));
    assert_eq!(gateway.admin("/healthz").status, 200);
}

#[test]
fn a_look_up_that_panics_leaves_what_is_known_and_begins_anew() {
    let dns = Dns::start(&[("users.test", "127.0.0.1")]);
    let upstream = Upstream::echo();
    let settings = format!(
        "dns: {{servers: [\"{}\"], min_ttl: 200ms, max_ttl: 1s}}\n",
        dns.address()
    );
    let config = CONFIG.replace("@up@", "users.test:@port@");
    let gateway = prepared(&format!("{settings}{config}"))
        .set("port", upstream.address().port().to_string().as_str())
        .plugin("headers")
        .start();
    assert_eq!(gateway.get("/").status, 200);
    arm(&gateway, "look-up");
    counted(&gateway, "discovery");
    assert_eq!(gateway.get("/").status, 200, "where the name led is known");
    let asked = dns.questions("users.test");
    wait_until("it is looked up again", || {
        dns.questions("users.test") > asked
    });
    assert_eq!(gateway.get("/").status, 200);
}
