//! How many connections one client address may have.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use swapgate_tests::h2::Connection;
use swapgate_tests::{Client, Gateway, Upstream, wait_until};

use crate::{Stage, text};

const TWO: &str = "limits: {connections_per_address: 2}";

#[track_caller]
fn refused(gateway: &Gateway, count: f64) {
    let series = "swapgate_connections_refused_total{listener=\"public\"}";
    gateway.wait_for_metric(series, count);
}

/// A connection that is closed at once, without a word.
#[track_caller]
fn closed(gateway: &Gateway) {
    gateway.client().expect_closed();
}

/// A connection that is served again, once those of before are gone.
#[track_caller]
fn served_again(gateway: &Gateway) -> Client {
    swapgate_tests::wait_for("there is room again", || {
        let mut client = gateway.client();
        client
            .try_send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            .ok()?;
        let answer = client.read_response("GET").ok()?;
        (answer.status == 200).then_some(client)
    })
}

#[test]
fn there_are_no_more_than_that_however_they_end() {
    let stage = Stage::with(TWO, "");
    let gateway = &stage.gateway;
    let mut first = gateway.client();
    let mut second = Connection::open(gateway.address());
    assert_eq!(first.get("/").status, 200);
    assert_eq!(second.get("/").expect("an answer").status, 200);
    for _ in 0..3 {
        closed(gateway);
    }
    refused(gateway, 3.0);
    assert_eq!(first.get("/").status, 200, "the others go on");
    assert_eq!(second.get("/").expect("an answer").status, 200);
    // In good order, by a reset, in the middle of a head, and where the gateway ends it.
    drop(second);
    drop(served_again(gateway));
    served_again(gateway).reset();
    let mut third = served_again(gateway);
    third.send("GET / HTTP/1.1\r\nHo");
    drop(third);
    let mut fourth = served_again(gateway);
    fourth.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(fourth.expect_response().status, 400);
    fourth.expect_closed();
    let _fifth = served_again(gateway);
    closed(gateway);
}

#[test]
fn a_tunnel_counts_until_it_is_closed() {
    let upstream = Upstream::start(|conversation| {
        let request = conversation.receive()?;
        if request.headers.get("upgrade").is_none() {
            return conversation.send(request.to_answer());
        }
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        )?;
        conversation.until_closed();
        Ok(())
    });
    let routes = text(
        "limits: {connections_per_address: 1}",
        ", upgrades: [echo/1]",
    );
    let gateway = Gateway::with(&routes).set("up", upstream.address()).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n");
    let head = client.read_head().expect("an answer");
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
    closed(&gateway);
    drop(client);
    drop(served_again(&gateway));
}

/// Whether anybody asks anything on it, or the gateway has put its buffers away.
#[test]
fn an_idle_connection_counts_until_it_is_closed() {
    let stage = Stage::with(&format!("{TWO}\nclient_timeouts: {{idle: 3s}}"), "");
    let gateway = &stage.gateway;
    let mut idle = [gateway.client(), gateway.client()];
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    closed(gateway);
    refused(gateway, 1.0);
    for client in &mut idle {
        client.expect_closed();
    }
    let _one = served_again(gateway);
    let _two = served_again(gateway);
}

#[test]
fn a_reload_sets_it_for_those_that_come() {
    let stage = Stage::with("", "");
    let gateway = &stage.gateway;
    let mut before: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut before {
        assert_eq!(client.get("/").status, 200);
    }
    gateway.reload_published(&text(TWO, ""));
    let _two = [served_again(gateway), served_again(gateway)];
    closed(gateway);
    for client in &mut before {
        assert_eq!(client.get("/").status, 200, "who was there before stays");
    }
    gateway.reload_published(&text("", ""));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn whom_a_proxy_header_names_counts_and_the_balancer_does_not() {
    let upstream = Upstream::echo();
    let whole = format!(
        "\
format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\", proxy_protocol: optional}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
trusted_addresses: [127.0.0.1]
{}",
        text(TWO, "")
    );
    let gateway = Gateway::with_whole(&whole)
        .set("up", upstream.address())
        .start();
    let named = |who: &str| {
        let mut client = gateway.client();
        let family = if who.contains(':') { 6 } else { 4 };
        let to = if family == 6 { "::1" } else { "192.0.2.9" };
        let header = format!("PROXY TCP{family} {who} {to} 1000 80\r\n");
        let get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        let _ = client.try_send(format!("{header}{get}"));
        let answer = client.read_response("GET");
        answer.ok().map(|answer| (answer.status, client))
    };
    let held: Vec<_> = [
        "192.0.2.1",
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8:1:2::1",
        "2001:db8:1:2::2",
    ]
    .iter()
    .map(|who| named(who).expect("it is served"))
    .collect();
    assert!(held.iter().all(|(status, _)| *status == 200));
    assert!(named("192.0.2.1").is_none());
    assert!(
        named("2001:db8:1:2:3::4").is_none(),
        "one network of 64 bits"
    );
    assert!(named("2001:db8:1:3::1").is_some());
    refused(&gateway, 2.0);
    let mut own: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut own {
        assert_eq!(
            client.get("/").status,
            200,
            "the balancer itself has no limit"
        );
    }
    drop(held);
    wait_until("they are forgotten", || named("192.0.2.1").is_some());
}

#[test]
fn neighbours_on_a_unix_socket_are_not_counted() {
    let upstream = Upstream::echo();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("gateway.sock");
    let whole = format!(
        "\
format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}, {{name: local, address: \"unix:{}\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
{}",
        socket.display(),
        text("limits: {connections_per_address: 1}", "")
    );
    let gateway = Gateway::with_whole(&whole)
        .set("up", upstream.address())
        .start();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            .expect("it is taken");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200");
        held.push(stream);
    }
    let _one = served_again(&gateway);
    closed(&gateway);
}
