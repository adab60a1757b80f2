//! One fault at a time: what it comes to for each method, without retries and with them.

use swapgate_tests::proxy::{Pace, Part, Place};
use swapgate_tests::{Fault, Gateway, Proxy, Recorder, eventually};

use super::trial::SENDS_AGAIN;
use super::world::Seen::{Answer, Status, Torn};
use super::world::{Seen, ask};

/// What a fault comes to, by the fault, at a target without another one beside it.
const ALONE: [(Fault, Seen); 21] = [
    (Fault::Refuse, Status(502)),
    (Fault::Hang(Place::Connect), Status(504)),
    (Fault::Hang(Place::Request), Status(504)),
    (Fault::Hang(Place::Answer), Status(504)),
    (Fault::Hang(Place::Head), Status(504)),
    (Fault::Hang(Place::Body), Torn),
    (Fault::Reset(Place::Connect), Status(502)),
    (Fault::Reset(Place::Request), Status(502)),
    (Fault::Reset(Place::Answer), Status(502)),
    (Fault::Reset(Place::Head), Status(502)),
    (Fault::Reset(Place::Body), Torn),
    (Fault::Cut(Place::Connect), Status(502)),
    (Fault::Cut(Place::Request), Status(502)),
    (Fault::Cut(Place::Answer), Status(502)),
    (Fault::Cut(Place::Head), Status(502)),
    (Fault::Cut(Place::Body), Torn),
    (Fault::Slow(Pace::TRICKLE), Answer),
    (Fault::Garble(Part::Status), Status(502)),
    (Fault::Garble(Part::Field), Status(502)),
    (Fault::Garble(Part::Length), Status(502)),
    (Fault::Garble(Part::ChunkSize), Torn),
];

/// Whether the gateway has a connection to the target already when the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Fresh,
    Kept,
}

#[test]
fn what_a_fault_comes_to_on_a_fresh_connection() {
    each_alone(Connection::Fresh);
}

#[test]
fn what_a_fault_comes_to_on_a_kept_connection() {
    each_alone(Connection::Kept);
}

fn each_alone(connection: Connection) {
    let target = Recorder::start();
    let proxy = Proxy::before(target.address());
    let gateway = before(&[&proxy], "");
    for (row, (fault, expected)) in ALONE.into_iter().enumerate() {
        for method in ["GET", "PUT", "POST"] {
            let name = format!("{fault}, {method} on a {connection:?} connection");
            proxy.set(Fault::Refuse);
            eventually!(proxy.open_connections() == 0);
            proxy.set(Fault::Pass);
            let nonce = format!("{}{row}-{method}-{connection:?}", way(fault));
            if connection == Connection::Kept {
                let before = ask(&gateway, "GET", &format!("{row}-{method}-before"));
                assert_eq!(Seen::from(&before), Answer, "{name}: {before}");
            }
            proxy.set(fault);
            let entry = ask(&gateway, method, &nonce);
            assert_eq!(Seen::from(&entry), expected, "{name}: {entry}");
            let arrived = target.arrivals().of(method, &nonce);
            assert_eq!(arrived, usize::from(fault.reaches_the_target()), "{name}");
            // The next one is as if nothing had been.
            proxy.set(Fault::Pass);
            let after = ask(&gateway, method, &format!("{row}-{method}-after"));
            assert_eq!(Seen::from(&after), Answer, "{name}, afterwards: {after}");
        }
    }
    drop(proxy);
    eventually!(target.open_connections() == 0);
}

/// Where nothing was sent, another target does as well; where something was, the client is told.
#[test]
fn a_second_target_helps_whoever_was_not_sent() {
    let target = Recorder::start();
    let (bad, good) = (
        Proxy::before(target.address()),
        Proxy::before(target.address()),
    );
    let gateway = before(&[&bad, &good], "");
    for fault in Fault::ALL {
        bad.set(fault);
        for round in 0..2 {
            for method in ["GET", "PUT", "POST"] {
                let nonce = format!("{}{fault}-{round}-{method}", way(fault)).replace(' ', "-");
                let entry = ask(&gateway, method, &nonce);
                let arrived = target.arrivals().of(method, &nonce);
                assert!(arrived <= 1, "{fault}: {entry} arrived {arrived} times");
                let alone = alone(fault);
                let races = races(fault);
                let is_struck = bad.struck().iter().any(|strike| strike.nonce == nonce);
                let seen = Seen::from(&entry);
                let fits = match (races, is_struck) {
                    (true, _) => seen == Answer || seen == alone,
                    (false, true) => seen == alone,
                    (false, false) => seen == Answer,
                };
                assert!(fits, "{fault}, struck: {is_struck}: {entry}");
            }
        }
    }
}

/// What may be sent again is, to the other target; who must not be told twice is told once, and the client how it ended.
#[test]
fn retries_help_whoever_may_be_sent_twice() {
    let target = Recorder::start();
    let (bad, good) = (
        Proxy::before(target.address()),
        Proxy::before(target.address()),
    );
    let gateway = before(&[&bad, &good], SENDS_AGAIN);
    for fault in Fault::ALL {
        bad.set(fault);
        for round in 0..2 {
            for method in ["GET", "PUT", "POST"] {
                let nonce = format!("{}{fault}-{round}-{method}", way(fault)).replace(' ', "-");
                let entry = ask(&gateway, method, &nonce);
                let is_struck = bad.struck().iter().any(|strike| strike.nonce == nonce);
                let may_twice = method != "POST";
                // The head of an answer cannot be taken back.
                let is_helped = may_twice && !fault.is_in_body();
                let seen = Seen::from(&entry);
                let fits = match is_struck && !is_helped {
                    true => seen == alone(fault),
                    false => seen == Answer || (races(fault) && !is_helped && seen == alone(fault)),
                };
                assert!(fits, "{fault}, struck: {is_struck}: {entry}");
                let arrived = target.arrivals().of(method, &nonce);
                let expected = match is_struck {
                    true if is_helped && alone(fault) != Answer => {
                        1 + usize::from(fault.reaches_the_target())
                    }
                    true => usize::from(fault.reaches_the_target()),
                    false => usize::from(seen == Answer),
                };
                assert_eq!(arrived, expected, "{fault}, struck: {is_struck}: {entry}");
            }
        }
    }
}

/// What a fault comes to where nobody helps.
fn alone(fault: Fault) -> Seen {
    let row = ALONE.into_iter().find(|(known, _)| *known == fault);
    row.expect("the table is whole").1
}

/// Whether a connection ended before something was written to it is a race, and either is right.
fn races(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Reset(Place::Connect) | Fault::Cut(Place::Connect)
    )
}

/// Where the nonces of requests begin that meet this fault. What hangs is given up soon; everything else has all the
/// time that a busy machine may take.
fn way(fault: Fault) -> &'static str {
    if matches!(fault, Fault::Hang(_)) {
        "hasty/"
    } else {
        ""
    }
}

/// A gateway with one worker before these, in turn, with these settings of its services.
fn before(proxies: &[&Proxy], service: &str) -> Gateway {
    let target = |proxy: &&Proxy| format!("{{address: \"{}\"}}", proxy.address());
    let targets: Vec<String> = proxies.iter().map(target).collect();
    Gateway::with(&format!(
        "\
workers: 1
upstreams: [{{name: up, targets: [{}]}}]
services:
  - name: patient
    upstream: up
    timeouts: {{connect: 20s, response: 20s, idle: 20s}}
    {service}
  - name: hasty
    upstream: up
    timeouts: {{connect: 600ms, response: 600ms, idle: 600ms}}
    {service}
routes:
  - {{name: all, service: patient}}
  - {{name: hasty, service: hasty, paths: [/load/hasty]}}
",
        targets.join(", ")
    ))
    .start()
}
