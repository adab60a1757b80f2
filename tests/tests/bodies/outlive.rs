//! What a request's body outlives whose answer is over: whatever ends connections that nobody uses.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Gate, Gateway, Upstream, eventually};

const EARLY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly";
const BAD: &str = "HTTP/1.1 500 Bad\r\ncontent-length: 0\r\n\r\n";

type Seen = Arc<Mutex<Vec<u8>>>;

/// An upstream that answers a POST at its head and then reads its chunks, `/bad` with 500, and all else at once.
fn hasty() -> (Upstream, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let upstream = Upstream::start(move |conversation| {
        loop {
            let head = conversation.receive_head()?;
            if head.starts_with(b"GET /bad") {
                conversation.send(BAD)?;
                continue;
            }
            conversation.send(EARLY)?;
            while head.starts_with(b"POST") {
                let piece = conversation.receive_chunk()?;
                kept.lock().unwrap().extend_from_slice(&piece);
                if piece.is_empty() {
                    kept.lock().unwrap().push(b'.');
                    break;
                }
            }
        }
    });
    (upstream, seen)
}

fn text(target: &str) -> String {
    format!(
        "\
workers: 1
drain: {{shutdown: 1h}}
limits: {{body_bytes: 1GiB}}
upstreams: [{{name: up, targets: [{{address: \"@{target}@\"}}], health: {{passive: {{failures: 1, eject: 1h, max_eject: 1h, statuses: [\"500\"]}}}}}}]
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s}}]
"
    )
}

fn before(up: &Upstream, other: &Upstream) -> Gateway {
    let gateway = Gateway::with(&text("up")).set("up", up.address());
    gateway.set("other", other.address()).start()
}

/// A body that has its answer, and of which something arrived.
fn begun(gateway: &Gateway, seen: &Seen) -> Client {
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("6\r\nfirst \r\n");
    assert_eq!(client.expect_response().text(), "early");
    eventually!(*seen.lock().unwrap() == b"first ");
    client
}

#[track_caller]
fn goes_on(client: &mut Client, seen: &Seen) {
    client.send("4\r\nlast\r\n0\r\n\r\n");
    eventually!(*seen.lock().unwrap() == b"first last.");
}

#[test]
fn a_reload_that_takes_its_target_away() {
    let (upstream, seen) = hasty();
    let other = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother");
    let gateway = before(&upstream, &other);
    let mut client = begun(&gateway, &seen);
    assert_eq!(gateway.get("/").text(), "early");
    assert_eq!(upstream.open_connections(), 2);
    gateway.reload_published(&text("other"));
    assert_eq!(gateway.get("/").text(), "other");
    // The one that was unused is closed.
    eventually!(upstream.open_connections() == 1);
    goes_on(&mut client, &seen);
    // So is this one, now that it is.
    eventually!(upstream.open_connections() == 0);
}

#[test]
fn the_ejection_of_its_target() {
    let (upstream, seen) = hasty();
    let gateway = before(&upstream, &upstream);
    let mut client = begun(&gateway, &seen);
    assert_eq!(gateway.get("/bad").status, 500);
    // The one that was unused is closed.
    eventually!(upstream.open_connections() == 1);
    goes_on(&mut client, &seen);
    eventually!(upstream.open_connections() == 0);
}

/// A target that answers and then reads nothing, and a client that sends to it until the gateway ends that.
fn stands_still(what: impl FnOnce(&mut Gateway)) {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        conversation.send(EARLY)?;
        held.pass();
        Ok(())
    });
    let mut gateway = before(&upstream, &Upstream::fixed(EARLY));
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\n");
    assert_eq!(client.expect_response().text(), "early");
    let sending = std::thread::spawn(move || {
        let piece = vec![b'x'; 1_000_000];
        let refused = (0..1000).any(|_| client.try_send(&piece).is_err());
        // One that only waits for room gives up as well.
        refused && !matches!(client.read_to_end(), Err(WireError::TimedOut(_)))
    });
    what(&mut gateway);
    assert!(sending.join().unwrap(), "the gateway ends it");
    gate.open();
}

#[test]
fn one_that_nobody_takes_ends() {
    stands_still(|_| ());
}

#[test]
fn one_that_nobody_takes_ends_after_a_reload() {
    stands_still(|gateway| gateway.reload_published(&text("other")));
}

#[test]
fn one_that_nobody_takes_ends_before_the_limit_of_a_shutdown() {
    stands_still(|gateway| {
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait_for_end().code(), Some(0));
    });
}
