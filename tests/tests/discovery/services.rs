//! Services: SRV records say where their servers are, in which order and with what share.

use serde_json::{Value, json};
use swapgate_tests::{Dns, Gateway, eventually};

use crate::{Row, name, text};

const TARGETS: &str = "targets: [{address: \"srv:_http._tcp.users.test\", weight: 2, priority: 3}]";
const HOSTS: [(&str, &str); 3] = [
    ("a.users.test", "127.0.0.1"),
    ("b.users.test", "127.0.0.2"),
    ("b.users.test", "127.0.0.3"),
];

/// Address, tier and weight of each target, as `/upstreams` shows them.
fn shown(gateway: &Gateway) -> Vec<Value> {
    let document = gateway.admin("/upstreams").json();
    let targets = document["upstreams"][0]["targets"].as_array().cloned();
    let one = |target: &Value| json!([target["address"], target["priority"], target["weight"]]);
    let serving = |target: &&Value| !target["weight"].is_null();
    targets.iter().flatten().filter(serving).map(one).collect()
}

fn record(host: &str, port: u16, priority: u16, weight: u16) -> String {
    format!("_http._tcp.users.test,{host},{port},{priority},{weight}")
}

#[test]
fn priorities_weights_and_ports_are_those_of_the_records() {
    let (near, far) = (Row::start(3), Row::start(1));
    let records = [
        record("a.users.test", far.port(), 20, 7),
        record("b.users.test", near.port(), 10, 5),
        record("b.users.test", 0, 10, 5),
        record("unknown.users.test", 80, 10, 5),
    ];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let mut dns = Dns::with_services(&HOSTS, &records);
    let gateway = Gateway::with(&text(&dns, TARGETS)).start();
    let address = |last: u8, port: u16| format!("127.0.0.{last}:{port}");
    let expected = [
        json!([address(2, near.port()), 3, 10]),
        json!([address(3, near.port()), 3, 10]),
        json!([address(1, far.port()), 4, 14]),
    ];
    assert_eq!(shown(&gateway), expected);
    // The one that is not there is said, and harms nobody.
    let status = gateway.status();
    let error = name(&status)["error"].as_str().expect("a text");
    assert!(error.contains("unknown.users.test"), "{error}");
    assert_eq!(gateway.get("/").status, 200);

    let other = record("a.users.test", near.port(), 0, 0);
    dns.start_again(&[&other]);
    eventually!(shown(&gateway) == [json!([address(1, near.port()), 3, 2])]);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_service_that_says_that_it_is_not_available_has_no_targets() {
    let row = Row::start(1);
    let record = record("a.users.test", row.port(), 0, 0);
    let mut dns = Dns::with_services(&HOSTS, &[&record]);
    let gateway = Gateway::with(&text(&dns, TARGETS)).start();
    assert_eq!(gateway.get("/").status, 200);
    dns.start_again(&["_http._tcp.users.test"]);
    gateway.wait_for_answers("no target", "/", |answer| answer.status == 503);
    dns.start_again(&[&record]);
    eventually!(gateway.get("/").status == 200);
}
