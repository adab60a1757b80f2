//! The fault proxy, the counting target and the traffic of the harness against themselves, without a gateway.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use swapgate_tests::proxy::{Pace, Part, Place};
use swapgate_tests::traffic::{Entry, Outcome, exchange};
use swapgate_tests::wire::WireError;
use swapgate_tests::{Client, Fault, Proxy, Recorder, Traffic, eventually};

/// As long as nothing but a fault takes. What hangs is given up after it.
const LIMIT: Duration = Duration::from_millis(300);

/// One request on a connection of its own.
fn ask(proxy: &Proxy, nonce: &str) -> Entry {
    let client = Client::try_connect(proxy.address()).expect("it accepts");
    client.set_limit(LIMIT).expect("a socket option");
    exchange(client, "POST", nonce, 10).0
}

fn raw(proxy: &Proxy) -> Result<swapgate_tests::Response, WireError> {
    let mut client = Client::connect(proxy.address());
    client.set_limit(LIMIT).expect("a socket option");
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-nonce: n\r\n\r\n");
    client.read_response("GET")
}

fn connects(address: SocketAddr) -> Result<TcpStream, std::io::ErrorKind> {
    TcpStream::connect_timeout(&address, LIMIT).map_err(|error| error.kind())
}

#[test]
fn what_passes_is_unchanged_and_counted() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    let client = Client::connect(proxy.address());
    let (first, kept) = exchange(client, "PUT", "a", 20_000);
    let (second, kept) = exchange(kept.expect("it is kept"), "GET", "b", 0);
    assert_eq!(
        (first.outcome, second.outcome),
        (Outcome::Answered, Outcome::Answered)
    );
    drop(kept);
    // It counts an answer once it has given it away.
    eventually!(proxy.counts().answered == 2);
    let counts = proxy.counts();
    assert_eq!((counts.accepted, counts.requests), (1, 2));
    assert_eq!((counts.forwarded, counts.struck), (2, 0));
    assert_eq!(target.arrivals().of("PUT", "a"), 1);
    assert_eq!(target.arrivals().of("GET", "b"), 1);
    eventually!(proxy.open_connections() == 0 && target.open_connections() == 0);
}

#[test]
fn it_refuses_on_command_and_comes_back_on_the_same_port() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    let (_, kept) = exchange(Client::connect(proxy.address()), "GET", "a", 0);
    for round in 0..5 {
        proxy.set(Fault::Refuse);
        let refused = connects(proxy.address()).unwrap_err();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
        proxy.set(Fault::Pass);
        let nonce = format!("again-{round}");
        assert_eq!(ask(&proxy, &nonce).outcome, Outcome::Answered);
    }
    kept.expect("it was kept").expect_closed();
}

#[test]
fn it_leaves_connection_attempts_hanging_on_command() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for _ in 0..3 {
        proxy.set(Fault::Hang(Place::Connect));
        let hung = connects(proxy.address()).unwrap_err();
        assert_eq!(hung, std::io::ErrorKind::TimedOut);
        proxy.set(Fault::Pass);
        assert_eq!(ask(&proxy, "n").outcome, Outcome::Answered);
    }
}

#[test]
fn every_fault_is_what_it_says() {
    for fault in Fault::ALL
        .into_iter()
        .filter(|fault| !fault.is_at_the_door())
    {
        let target = Recorder::start();
        let proxy = Proxy::before(target.address());
        proxy.set(fault);
        let entry = ask(&proxy, "n");
        let fits = match (fault, &entry.outcome) {
            (Fault::Hang(_), Outcome::TimedOut)
            | (Fault::Slow(_), Outcome::Answered)
            | (Fault::Garble(_), Outcome::Torn(_)) => true,
            (Fault::Reset(place) | Fault::Cut(place), outcome) => match place {
                Place::Head | Place::Body => matches!(outcome, Outcome::Torn(_)),
                _ => *outcome == Outcome::Closed,
            },
            _ => false,
        };
        assert!(fits, "{fault}: {entry}");
        proxy.wait_for_struck(1);
        let arrived = usize::from(fault.reaches_the_target());
        assert_eq!(target.arrivals().of("POST", "n"), arrived, "{fault}");
        // Without a request nobody can be named.
        let named = !matches!(
            fault,
            Fault::Reset(Place::Connect) | Fault::Cut(Place::Connect)
        );
        assert_eq!(proxy.struck().len(), usize::from(named), "{fault}");
        proxy.set(Fault::Pass);
        assert_eq!(ask(&proxy, "m").outcome, Outcome::Answered, "{fault}");
        eventually!(proxy.open_connections() == 0, "{fault} leaves a connection");
    }
}

#[test]
fn cutting_and_resetting_differ() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for place in [Place::Answer, Place::Head, Place::Body] {
        proxy.set(Fault::Cut(place));
        let cut = raw(&proxy).unwrap_err();
        assert!(matches!(cut, WireError::Closed(_)), "{place:?}: {cut}");
        proxy.set(Fault::Reset(place));
        let reset = raw(&proxy).unwrap_err();
        assert!(matches!(reset, WireError::Reset(_)), "{place:?}: {reset}");
    }
}

#[test]
fn a_body_breaks_after_its_head_and_a_head_before_its_end() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for fault in Fault::ALL.into_iter().filter(|fault| fault.is_in_body()) {
        proxy.set(fault);
        let error = raw(&proxy).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("200 OK\\r\\n"), "{fault}: {text}");
        assert!(text.contains("\\r\\n\\r\\n"), "{fault}: {text}");
    }
    proxy.set(Fault::Cut(Place::Head));
    let text = raw(&proxy).unwrap_err().to_string();
    assert!(
        text.contains("HTTP/1.1 ") && !text.contains("\\r\\n\\r\\n"),
        "{text}"
    );
}

#[test]
fn garbled_answers_are_no_answers() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for part in [Part::Status, Part::Field, Part::Length, Part::ChunkSize] {
        proxy.set(Fault::Garble(part));
        let error = raw(&proxy).unwrap_err();
        assert!(
            matches!(error, WireError::Malformed(..)),
            "{part:?}: {error}"
        );
    }
}

#[test]
fn connections_that_are_open_break_at_once() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for fault in [
        Fault::Refuse,
        Fault::Reset(Place::Connect),
        Fault::Cut(Place::Connect),
    ] {
        proxy.set(Fault::Pass);
        let (_, kept) = exchange(Client::connect(proxy.address()), "GET", "a", 0);
        proxy.set(fault);
        kept.expect("it was kept").expect_closed();
        assert_eq!(proxy.counts().struck, 0, "{fault}: nobody asked anything");
    }
}

#[test]
fn what_hangs_ends_with_the_fault() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    for place in [Place::Request, Place::Answer, Place::Head, Place::Body] {
        let struck = proxy.counts().struck;
        proxy.set(Fault::Hang(place));
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        proxy.wait_for_struck(struck + 1);
        proxy.set(Fault::Pass);
        let error = client.read_response("GET").unwrap_err();
        assert!(matches!(error, WireError::Closed(_)), "{place:?}: {error}");
        assert_eq!(proxy.counts().given_up, 0, "{place:?}");
    }
    proxy.set(Fault::Hang(Place::Answer));
    assert_eq!(ask(&proxy, "n").outcome, Outcome::TimedOut);
    eventually!(proxy.counts().given_up == 1);
}

#[test]
fn one_exchange_alone_goes_wrong() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    let slow = Fault::Slow(Pace {
        piece: 1000,
        ..Pace::TRICKLE
    });
    for fault in [
        Fault::Reset(Place::Connect),
        Fault::Cut(Place::Answer),
        slow,
    ] {
        let before = proxy.counts().struck;
        proxy.once(fault);
        ask(&proxy, "one");
        assert_eq!(ask(&proxy, "two").outcome, Outcome::Answered, "{fault}");
        assert_eq!(proxy.counts().struck, before + 1, "{fault}");
    }
}

#[test]
fn traffic_tells_every_request_from_every_other() {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    let traffic = Traffic::start(proxy.address(), 3, LIMIT * 10);
    traffic.wait_for_more(100);
    proxy.set(Fault::Cut(Place::Answer));
    proxy.wait_for_struck(5);
    proxy.set(Fault::Pass);
    traffic.wait_for_more(20);
    let entries = traffic.stop();
    let failed = entries
        .iter()
        .filter(|entry| entry.outcome != Outcome::Answered);
    let mut failed: Vec<&str> = failed.map(|entry| &*entry.nonce).collect();
    let struck = proxy.struck();
    let mut struck: Vec<&str> = struck.iter().map(|strike| &*strike.nonce).collect();
    assert!(
        failed.len() >= 5 && entries.len() >= 120,
        "{}",
        failed.len()
    );
    failed.sort_unstable();
    struck.sort_unstable();
    assert_eq!(failed, struck, "who was struck failed, and nobody else");
    for entry in &entries {
        let arrived = target.arrivals().of(entry.method, &entry.nonce);
        assert_eq!(arrived, 1, "{entry}");
    }
    assert_eq!(target.arrivals().repeated("POST"), Vec::<String>::new());
}
