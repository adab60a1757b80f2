//! HTTP/2 by prior knowledge.

use std::fs;

use swapgate_tests::load::Load;
use swapgate_tests::{Client, Nginx};

use super::{before, echo};

const CONNECTS: &str = "swapgate_upstream_connects_total";

const LARGE: usize = 64 * 1024 * 1024;

#[test]
fn a_target_gets_host_and_scheme_in_pseudo_headers() {
    let (nginx, gateway) = echo("listen @address@ http2;", "protocol: h2");
    let answer = gateway.get("/echo");
    assert_eq!(answer.status, 200);
    // nginx has no Host field then, only what :authority says.
    assert_eq!(
        answer.text(),
        format!("HTTP/2.0 http [] {0}127.0.0.1", nginx.address())
    );
}

#[test]
fn many_requests_share_few_connections() {
    let (nginx, gateway) = echo("listen @address@ http2;", "protocol: h2");
    let load = Load::start(
        gateway.address(),
        200,
        "GET /echo HTTP/1.1\r\nhost: a.test\r\n\r\n",
        |answer| match answer.status {
            200 => Ok(()),
            other => Err(format!("{other}: {}", answer.text())),
        },
    );
    load.wait_for_more(4000);
    load.stop_without_failure();
    let series = format!("{CONNECTS}{{target=\"{}\"}}", nginx.address());
    let connects = gateway.metrics().value(&series).expect("it is counted");
    assert!((1.0..=4.0).contains(&connects), "{connects} connections");
}

#[test]
fn large_bodies_pass_both_ways() {
    let nginx = Nginx::server(
        "listen @address@ http2; client_max_body_size 0; dav_methods PUT; client_body_buffer_size 64k;",
    );
    let gateway = before(&nginx.address().to_string(), "protocol: h2").start();
    let body: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    fs::write(nginx.files().join("down"), &body).expect("the folder is ours");
    let mut client = Client::connect(gateway.address());
    let down = client.get("/down");
    assert_eq!((down.status, down.body.len()), (200, LARGE));
    assert!(down.body == body, "it came as it was");
    let head = format!("PUT /up HTTP/1.1\r\nhost: a.test\r\ncontent-length: {LARGE}\r\n\r\n");
    client.send(head).send(&body);
    assert_eq!(client.expect_response().status, 201);
    let up = fs::read(nginx.files().join("up")).expect("nginx wrote it");
    assert!(up == body, "it arrived as it was");
}

/// nginx says GOAWAY after so many requests, while others are on their way; those are sent again.
#[test]
fn a_target_that_goes_away_again_and_again_fails_no_request() {
    let (nginx, gateway) = echo(
        "listen @address@ http2; keepalive_requests 50;",
        "protocol: h2",
    );
    let load = Load::start(
        gateway.address(),
        40,
        "GET /echo HTTP/1.1\r\nhost: a.test\r\n\r\n",
        |answer| match answer.status {
            200 => Ok(()),
            other => Err(format!("{other}: {}", answer.text())),
        },
    );
    load.wait_for_more(2000);
    load.stop_without_failure();
    let series = format!("{CONNECTS}{{target=\"{}\"}}", nginx.address());
    let connects = gateway.metrics().value(&series).expect("it is counted");
    assert!(connects >= 2000.0 / 60.0, "{connects} connections");
}

/// The same with bodies, which are told again from their beginning.
#[test]
fn bodies_are_told_again_to_a_target_that_goes_away() {
    let nginx = Nginx::server(
        "listen @address@ http2; keepalive_requests 20; dav_methods PUT; client_max_body_size 0;",
    );
    let gateway = before(&nginx.address().to_string(), "protocol: h2").start();
    let body = "0123456789".repeat(2000);
    std::thread::scope(|scope| {
        for one in 0..8 {
            let (gateway, body) = (&gateway, &body);
            scope.spawn(move || {
                let mut client = Client::connect(gateway.address());
                for round in 0..40 {
                    client.send(format!(
                        "PUT /{one}-{round} HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    ));
                    let answer = client.expect_response();
                    assert_eq!(answer.status, 201, "{}", answer.text());
                }
            });
        }
    });
    for one in 0..8 {
        for round in 0..40 {
            let got = fs::read(nginx.files().join(format!("{one}-{round}"))).expect("it is there");
            assert!(got == body.as_bytes(), "{one}-{round} is whole");
        }
    }
}

/// Nobody waits for the answer any more: the stream is reset, and the connection serves others.
#[test]
fn clients_that_leave_do_not_cost_the_connection() {
    let nginx = Nginx::server("listen @address@ http2; location /slow { limit_rate 1k; }");
    fs::write(nginx.files().join("slow"), vec![b'x'; 1 << 20]).expect("the folder is ours");
    fs::write(nginx.files().join("a"), "a").expect("the folder is ours");
    let gateway = before(&nginx.address().to_string(), "protocol: h2").start();
    for _ in 0..150 {
        let mut client = Client::connect(gateway.address());
        client.send("GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n");
        client.read_head().expect("the head of the answer");
        client.reset();
    }
    assert_eq!(gateway.get("/a").text(), "a");
    let series = format!("{CONNECTS}{{target=\"{}\"}}", nginx.address());
    let connects = gateway.metrics().value(&series).expect("it is counted");
    assert!(connects <= 2.0, "{connects} connections");
}

#[test]
fn a_connection_that_is_full_gets_another_one_beside_it() {
    let nginx = Nginx::server(
        "listen @address@ http2; http2_max_concurrent_streams 1; location /slow { limit_rate 1k; }",
    );
    fs::write(nginx.files().join("slow"), vec![b'x'; 1 << 20]).expect("the folder is ours");
    fs::write(nginx.files().join("a"), "a").expect("the folder is ours");
    let gateway = before(&nginx.address().to_string(), "protocol: h2").start();
    // The target has said by now how many it takes.
    assert_eq!(gateway.get("/a").text(), "a");
    let clients = (0..3).map(|_| {
        let mut client = Client::connect(gateway.address());
        client.send("GET /slow HTTP/1.1\r\nhost: a.test\r\n\r\n");
        client.read_head().expect("the head of the answer");
        client
    });
    let _clients: Vec<Client> = clients.collect();
    let series = format!("{CONNECTS}{{target=\"{}\"}}", nginx.address());
    assert_eq!(gateway.metrics().value(&series), Some(3.0));
}
