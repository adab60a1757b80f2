//! Choosing by the time that answers take.

use std::thread;
use std::time::{Duration, Instant};

use swapgate_tests::{Client, Gateway};

use super::{Target, entries, target_of, text};

/// How long the slow one of three targets takes.
const SLOW: Duration = Duration::from_millis(300);

/// How long each of so many requests took, on two connections at once.
fn times(algorithm: &str, requests: usize) -> Vec<Duration> {
    let targets = [Target::start(0), Target::start(1), Target::slow(2, SLOW)];
    let keys = format!("algorithm: {algorithm}");
    let one = text(&keys, &entries(&targets)).replace("workers: 2", "workers: 1");
    let gateway = Gateway::with(&one).start();
    let address = gateway.address();
    let client = || {
        let mut client = Client::connect(address);
        let time = |_| {
            let start = Instant::now();
            let _ = target_of(&client.get("/"));
            start.elapsed()
        };
        (0..requests / 2).map(time).collect::<Vec<_>>()
    };
    let mut times = thread::scope(|scope| {
        let clients = [scope.spawn(client), scope.spawn(client)];
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("it was answered"))
            .collect::<Vec<_>>()
    });
    times.sort_unstable();
    times
}

#[test]
fn a_slow_target_is_left_alone() {
    let turns = times("round-robin", 60);
    let chosen = times("p2c-ewma", 1000);
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    assert!(p99(&turns) >= SLOW, "a third of all met the slow one");
    assert!(
        p99(&chosen) < p99(&turns),
        "{:?} and {:?}",
        p99(&chosen),
        p99(&turns)
    );
}

#[test]
fn a_target_that_answers_only_errors_is_not_taken_for_the_quickest() {
    let good = [Target::start(0), Target::slow(1, Duration::from_millis(5))];
    let bad = swapgate_tests::Upstream::fixed(
        "HTTP/1.1 500 Oh\r\nx-target: 2\r\ncontent-length: 0\r\n\r\n",
    );
    let entries = format!("{}, {{address: \"{}\"}}", entries(&good), bad.address());
    let one = text("algorithm: p2c-ewma", &entries).replace("workers: 2", "workers: 1");
    let gateway = Gateway::with(&one).start();
    let mut client = gateway.client();
    let answers: Vec<_> = (0..300).map(|_| client.get("/").status).collect();
    let errors = answers.iter().filter(|status| **status == 500).count();
    // Each one that is measured anew keeps it away for many times as long as the others take.
    assert!(errors < 30, "{errors} of 300");
}
