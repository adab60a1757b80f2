//! Listeners that come and go. Port 0 of different loopback addresses stands for ports nobody else takes.

use std::net::TcpListener;

use swapgate_tests::{Client, Gateway, eventually};

use super::{STAY, load, named};

const BEGIN: &str = "\
format: 1
admin: {address: \"127.0.0.1:0\"}
plugins_dir: plugins.d
state_dir: state
";

const PUBLIC: &str = "{name: public, address: \"127.0.0.1:0\"}";

/// A whole file with these listeners, and a route for everything.
fn listening(listeners: &str) -> String {
    format!("{BEGIN}listeners: [{listeners}]\n{STAY}  - {{name: all, service: a}}\n")
}

/// Writes a whole file aside, and waits for what becomes of it.
#[track_caller]
fn reload(gateway: &Gateway, text: &str) -> serde_json::Value {
    let before = gateway.last_change()["number"].clone();
    gateway.rename_whole_config(text);
    swapgate_tests::wait_for("the outcome of a reload", || {
        Some(gateway.last_change()).filter(|change| change["number"] != before)
    })
}

#[track_caller]
fn published(gateway: &Gateway, listeners: &str) {
    let change = reload(gateway, &listening(listeners));
    assert_eq!(change["outcome"], "published", "{change}");
}

#[test]
fn come_and_go_while_others_stay() {
    let a = named("a");
    let gateway = Gateway::with_whole(&listening(PUBLIC))
        .set("a", a.address())
        .start();
    let load = load(&gateway, 3, "a");
    let mut kept = gateway.client();
    let mut port = 0;
    for _ in 0..10 {
        published(
            &gateway,
            &format!("{PUBLIC}, {{name: second, address: \"127.0.0.2:{port}\"}}"),
        );
        let second = gateway.current_address_of("second");
        let mut its = Client::connect(second);
        assert_eq!(its.get("/x").status, 200);
        published(&gateway, PUBLIC);
        assert!(
            Client::try_connect(second).is_err(),
            "a removed listener accepts nobody"
        );
        assert_eq!(its.get("/x").status, 200, "its connections live on");
        assert_eq!(kept.get("/x").status, 200);
        // The next round asks for the very port that was just let go.
        port = second.port();
    }
    load.stop_without_failure();
}

/// A name is only a name: the socket stays.
#[test]
fn can_be_renamed() {
    let a = named("a");
    let gateway = Gateway::with_whole(&listening(PUBLIC))
        .set("a", a.address())
        .start();
    let mut kept = gateway.client();
    assert_eq!(kept.get("/x").status, 200);
    published(&gateway, "{name: other, address: \"127.0.0.1:0\"}");
    assert_eq!(gateway.current_address_of("other"), gateway.address());
    assert_eq!(kept.get("/x").status, 200);
    let accepted =
        |name: &str| format!("swapgate_connections_accepted_total{{listener=\"{name}\"}}");
    let mut new = gateway.client();
    assert_eq!(new.get("/x").status, 200);
    gateway.wait_for_metric(&accepted("other"), 1.0);
    assert_eq!(gateway.metrics().value(&accepted("public")), Some(1.0));
    drop(kept);
    eventually!(gateway.metrics().value(&accepted("public")).is_none());
    assert_eq!(gateway.get("/x").status, 200);
}

#[test]
fn a_taken_port_refuses_all_of_it() {
    let a = named("a");
    let gateway = Gateway::with_whole(&listening(PUBLIC))
        .set("a", a.address())
        .start();
    let load = load(&gateway, 2, "a");
    let generation = gateway.generation();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // A port of another address that is free for sure, because we had it a moment ago.
    let free = TcpListener::bind("127.0.0.3:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listeners =
        format!("{{name: free, address: \"{free}\"}}, {{name: taken, address: \"{address}\"}}");
    let text = listening(&listeners).replace("/stay", "/gone");
    let change = reload(&gateway, &text);
    assert_eq!(change["outcome"], "refused", "{change}");
    let error = change["errors"][0].as_str().unwrap();
    assert!(
        error.starts_with(&format!("listener taken cannot bind {address}: ")),
        "{error}"
    );
    assert!(
        error.ends_with("; end what listens there, or choose another address"),
        "{error}"
    );
    // The log is written by a thread of its own.
    swapgate_tests::eventually!(
        gateway
            .log_messages()
            .iter()
            .any(|line| line.contains(error))
    );
    assert_eq!(gateway.generation(), generation);
    assert!(Client::try_connect(free).is_err(), "nothing of it was done");
    assert_eq!(gateway.get("/stay").status, 200);
    drop(taken);
    // The same text again is no change, unless somebody asks.
    let refused = gateway.last_change()["number"].clone();
    gateway.signal(rustix::process::Signal::HUP);
    gateway.wait_for_status("the reload that was asked for", |status| {
        status["last_change"]["number"] != refused
    });
    assert_eq!(gateway.last_change()["outcome"], "published");
    assert_eq!(Client::connect(address).get("/x").status, 200);
    assert_eq!(Client::connect(free).get("/x").status, 200);
    assert!(Client::try_connect(gateway.address()).is_err());
    let outcome = load.stop();
    assert_eq!(
        outcome.connections, 2,
        "even those of the removed listener live on"
    );
}

/// Clients that connect while a listener goes away are either refused or served, in a pool of attempts whose number shows that
/// the gateway does not simply drop its queue.
#[test]
fn clients_in_the_queue_of_a_removed_listener_are_served() {
    let a = named("a");
    let second = "{name: second, address: \"127.0.0.2:0\"}";
    let gateway = Gateway::with_whole(&listening(&format!("{PUBLIC}, {second}")))
        .set("a", a.address())
        .start();
    let address = gateway.address_of("second");
    let mut waiting: Vec<Client> = (0..100).map(|_| Client::connect(address)).collect();
    published(&gateway, PUBLIC);
    for client in &mut waiting {
        assert_eq!(client.get("/x").status, 200);
    }
}
