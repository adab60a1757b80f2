//! Addresses of a name: all of them serve, and they may come and go at any time.

use swapgate_tests::{Client, Dns, Gate, Gateway, Load, Upstream, eventually};

use crate::{NOBODY, Row, addresses, name, text, wait_for_addresses};

fn targets(port: u16) -> String {
    format!("targets: [{{address: \"users.test:{port}\"}}]")
}

fn hosts(last: &[u8]) -> Vec<(&'static str, String)> {
    let all = last
        .iter()
        .map(|last| ("users.test", format!("127.0.0.{last}")));
    all.collect()
}

fn started(dns: &Dns, row: &Row) -> Gateway {
    Gateway::with(&text(dns, &targets(row.port()))).start()
}

#[test]
fn every_address_of_a_name_is_a_target() {
    let row = Row::start(3);
    let dns = Dns::start(&hosts(&[1, 3, 2]));
    let gateway = started(&dns, &row);
    // The start waited for the answer.
    let mut client = gateway.client();
    for _ in 0..12 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(row.asked(), [1, 2, 3]);
    let shown = gateway.admin("/upstreams").json();
    assert_eq!(shown["upstreams"][0]["targets"][0]["name"], "users.test");
}

#[test]
fn addresses_come_and_go_without_a_failed_request() {
    let row = Row::start(3);
    let dns = Dns::start(&hosts(&[1]));
    let gateway = started(&dns, &row);
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let load = Load::start(gateway.address(), 6, request, |answer| {
        let good = answer.status == 200;
        good.then_some(()).ok_or_else(|| answer.text())
    });
    let sets: [&[u8]; 6] = [&[1, 2, 3], &[2, 3], &[3, 1], &[2], &[1, 2, 3], &[3]];
    for set in sets {
        dns.change(&hosts(set));
        eventually!(addresses(&gateway) == set.len() && serves(&row, set));
        load.wait_for_more(100);
    }
    load.stop_without_failure();
    // Nobody keeps a connection to those that are gone.
    eventually!(row.0[0].open_connections() == 0 && row.0[1].open_connections() == 0);
    let status = gateway.status();
    assert_eq!(status["last_change"]["trigger"], "start", "{status}");
    assert_eq!(status["last_discovery"]["trigger"], "discovery", "{status}");
}

/// Whether exactly these get requests now.
fn serves(row: &Row, set: &[u8]) -> bool {
    let mut sorted = set.to_vec();
    sorted.sort_unstable();
    let _ = row.asked();
    swapgate_tests::wait_until("some requests", || {
        row.0.iter().map(|one| one.requests().len()).sum::<usize>() >= 60
    });
    row.asked() == sorted
}

#[test]
fn targets_that_stay_keep_their_connections() {
    let row = Row::start(2);
    let dns = Dns::start(&hosts(&[1]));
    let text = text(&dns, &targets(row.port())).replace("workers: 2", "workers: 1");
    let gateway = Gateway::with(&text).start();
    let mut client = gateway.client();
    client.get("/");
    let generation = gateway.generation();
    dns.change(&hosts(&[1, 2]));
    // A look-up is told of a moment before what it brings serves.
    gateway.wait_for_generation_after(generation);
    for _ in 0..6 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(row.asked(), [1, 2]);
    assert_eq!((row.0[0].connections(), row.0[1].connections()), (1, 1));
}

#[test]
fn a_running_request_ends_at_a_target_that_is_gone() {
    let gate = Gate::new();
    let slow = gate.clone();
    let row = Row::start(2);
    let listener = std::net::TcpListener::bind("127.0.0.3:0").expect("a free port");
    let port = listener
        .local_addr()
        .expect("a bound socket has one")
        .port();
    let last = Upstream::on(listener, move |conversation| {
        loop {
            conversation.receive()?;
            slow.pass();
            conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")?;
        }
    });
    let dns = Dns::start(&[("users.test", "127.0.0.3")]);
    let gateway = Gateway::with(&text(&dns, &targets(port))).start();
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    gate.wait_for_arrival();
    let generation = gateway.generation();
    dns.change(&hosts(&[1]));
    gateway.wait_for_generation_after(generation);
    drop(row);
    gate.open();
    assert_eq!(client.expect_response().text(), "late");
    eventually!(last.open_connections() == 0);
}

#[test]
fn the_order_of_answers_does_not_matter() {
    let row = Row::start(3);
    let dns = Dns::start(&hosts(&[1, 2, 3]));
    let gateway = started(&dns, &row);
    let generation = gateway.generation();
    let before = dns.questions("users.test");
    // It turns them round from answer to answer.
    eventually!(dns.questions("users.test") > before + 12);
    assert_eq!(gateway.generation(), generation);
}

#[test]
fn many_addresses_come_by_tcp_and_too_many_are_not_used() {
    let row = Row::start(1);
    let many = |count: u16| -> Vec<(&'static str, String)> {
        let ips = (1..=count).map(|n| format!("127.1.{}.{}", n / 256, n % 256));
        ips.map(|ip| ("users.test", ip)).collect()
    };
    let dns = Dns::start(&many(200));
    let gateway = started(&dns, &row);
    wait_for_addresses(&gateway, 200);
    dns.change(&many(300));
    wait_for_addresses(&gateway, 256);
    let status = gateway.wait_for_status("the reason", |status| name(status)["note"].is_string());
    let note = name(&status)["note"].as_str().expect("a text");
    assert!(note.contains("the others are left out"), "{note}");
    // It can be looked up all the same, and is asked again when it is due.
    assert!(name(&status)["error"].is_null(), "{status}");
}

#[test]
fn this_machine_is_found_without_anybody_being_asked() {
    let row = Row::start(1);
    let mut dns = Dns::start(NOBODY);
    dns.kill();
    let localhost = targets(row.port()).replace("users.test", "localhost");
    let gateway = Gateway::with(&text(&dns, &localhost)).start();
    assert_eq!(gateway.get("/").status, 200);
}
