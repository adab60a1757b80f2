//! Whatever becomes of copies, the requests know nothing of it.

use std::net::SocketAddr;
use std::thread;

use swapgate_tests::unreachable::{Deaf, Refusing};
use swapgate_tests::{Gate, Gateway, Upstream, eventually};

use super::{ask, count, counted, mirrored, post, series};

/// How many copies run at once.
const AT_ONCE: usize = 16;
const MIRROR: &str = ", requests: 16";
const CLIENTS: usize = 8;
const EACH: usize = 125;

/// A thousand requests of several clients at once, with and without a body, each answered as if there were no copies.
#[track_caller]
fn undisturbed(shadow: SocketAddr) -> Gateway {
    let primary = Upstream::answering(|request| {
        let body = [request.target.as_bytes(), b" ", &request.body].concat();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    });
    let gateway = mirrored(&primary, shadow, "", MIRROR).start();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || client(gateway, number));
        }
    });
    let requests = primary.take_requests();
    assert_eq!(requests.len(), CLIENTS * EACH, "none was repeated");
    let all = "swapgate_requests_total{route=\"all\",service=\"s\",status=\"200\"}";
    gateway.wait_for_metric(all, 1_000.0);
    gateway
}

fn client(gateway: &Gateway, number: usize) {
    let mut client = gateway.client();
    for round in 0..EACH {
        let path = format!("/{number}/{round}");
        let body = match round % 3 {
            0 => Vec::new(),
            1 => vec![b'x'; 100],
            _ => vec![b'y'; 20_000],
        };
        client.send(post(&path, &body));
        let answer = client.expect_response();
        assert_eq!(answer.status, 200);
        assert!(answer.body == [path.as_bytes(), b" ", &body].concat());
    }
}

/// Every request was counted: as one that was copied, or as one that was not.
#[track_caller]
fn all_counted(gateway: &Gateway) {
    eventually!(counted(gateway) == 1_000);
}

#[test]
fn of_a_mirror_that_answers() {
    let shadow = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let gateway = undisturbed(shadow.address());
    all_counted(&gateway);
    assert_eq!(count(&gateway, "failed"), 0);
    assert_eq!(count(&gateway, "sent"), shadow.requests().len() as u64);
    assert!(shadow.connections() <= AT_ONCE);
}

#[test]
fn of_a_mirror_that_refuses() {
    let shadow = Refusing::new();
    let gateway = undisturbed(shadow.address());
    all_counted(&gateway);
    assert_eq!(count(&gateway, "sent"), 0);
}

#[test]
fn of_a_mirror_that_never_takes_a_connection() {
    let shadow = Deaf::new();
    let gateway = undisturbed(shadow.address());
    assert_eq!(count(&gateway, "sent"), 0);
    assert!(count(&gateway, "dropped_limit") > 0);
}

#[test]
fn of_a_mirror_that_resets() {
    let shadow = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.reset_at_end();
        Ok(())
    });
    let gateway = undisturbed(shadow.address());
    all_counted(&gateway);
    assert_eq!(count(&gateway, "sent"), 0);
    assert!(count(&gateway, "failed") > 0);
}

#[test]
fn of_a_mirror_that_answers_nonsense() {
    let shadow = Upstream::fixed("nonsense\r\n\r\n");
    let gateway = undisturbed(shadow.address());
    all_counted(&gateway);
    assert_eq!(count(&gateway, "sent"), 0);
}

/// It takes connections and reads nothing, so that bodies are stuck on their way.
#[test]
fn of_a_mirror_that_reads_nothing() {
    let gate = Gate::new();
    let held = gate.clone();
    let shadow = Upstream::start(move |_| {
        held.pass();
        Ok(())
    });
    let gateway = undisturbed(shadow.address());
    assert!(shadow.connections() <= AT_ONCE);
    assert_eq!(count(&gateway, "sent"), 0, "none was answered");
    assert_eq!(count(&gateway, "dropped_limit"), 1_000 - AT_ONCE as u64);
    gate.open();
}

/// It reads everything and answers nothing.
#[test]
fn of_a_mirror_that_hangs() {
    let gate = Gate::new();
    let held = gate.clone();
    let shadow = Upstream::start(move |conversation| {
        conversation.receive()?;
        held.pass();
        Ok(())
    });
    let gateway = undisturbed(shadow.address());
    assert_eq!(shadow.requests().len(), AT_ONCE);
    assert_eq!(counted(&gateway), 1_000 - AT_ONCE as u64, "the rest hangs");
    gate.open();
    all_counted(&gateway);
}

/// It answers a byte at a time, each when the test lets it.
#[test]
fn of_a_mirror_whose_answers_stand_still() {
    let gate = Gate::new();
    let held = gate.clone();
    let shadow = Upstream::start(move |conversation| {
        conversation.receive()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
        held.pass();
        Ok(())
    });
    let gateway = undisturbed(shadow.address());
    assert_eq!(shadow.connections(), AT_ONCE);
    assert_eq!(counted(&gateway), 1_000 - AT_ONCE as u64, "the rest hangs");
    gate.open();
    eventually!(count(&gateway, "sent") == AT_ONCE as u64);
}

/// The answer is whole at the client while the mirror has the copy and says nothing to it; and a body much larger than a
/// socket takes is passed on while the copy of another one is stuck.
#[test]
fn no_answer_waits_for_a_mirror() {
    let gate = Gate::new();
    let held = gate.clone();
    let shadow = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        held.pass();
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    let primary = Upstream::echo();
    let gateway = mirrored(&primary, shadow.address(), "", ", body_bytes: 16MiB").start();
    let body = vec![b'x'; 8 << 20];
    assert_eq!(ask(&gateway, post("/", &body)).status, 200);
    gate.wait_for_arrival();
    assert_eq!(ask(&gateway, post("/", b"small")).status, 200);
    assert_eq!(counted(&gateway), 0, "neither copy has come to anything");
    gate.open();
    gateway.wait_for_metric(&series("sent"), 2.0);
}
