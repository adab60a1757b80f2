//! Clients that take next to nothing of an answer, or send a byte of their head now and then.

use std::thread;

use swapgate_tests::bench::Crowd;

use crate::world::World;

/// Long enough for all of them to be there at once, on most machines.
const SETTINGS: &str =
    "limits: {connections: 4000}\nclient_timeouts: {header: 5s, body: 5s, idle: 60s}";

const COUNT: usize = 1_000;

/// What one who takes nothing may hold: 128 KiB each read ahead of the target, in hyper's channel and on the client's side; 80
/// KiB in the buffers of TLS; and what the allocator keeps. Whether all three are full depends on who is fast.
const EACH_READER: u64 = 560 << 10;
/// What one may hold who sends a head: its buffers, and room for an exchange that never comes.
const EACH_SENDER: u64 = 48 << 10;

#[test]
fn readers_of_large_bodies() {
    check(
        "readers",
        EACH_READER,
        &["--path", "/bytes/16777216"],
        false,
    );
}

#[test]
fn readers_of_large_bodies_over_tls() {
    check("readers", EACH_READER, &["--path", "/bytes/16777216"], true);
}

#[test]
fn senders_of_heads() {
    check("senders", EACH_SENDER, &["--every-ms", "100"], false);
}

#[track_caller]
fn check(manner: &str, each: u64, words: &[&str], tls: bool) {
    let world = World::with(SETTINGS);
    let others = world.others();
    let mut words = words.to_vec();
    let mut target = world.gateway.address_of("public");
    if tls {
        words.extend(["--tls", &world.certificate]);
        target = world.gateway.address_of("secure");
    }
    let crowd = Crowd::start(target, manner, COUNT, &words);
    assert_eq!(crowd.held(), COUNT, "all are connected");
    others.wait_for_more(50);
    let going = thread::spawn(move || (crowd.gone(), crowd));
    let mut most = 0;
    while !going.is_finished() {
        most = most.max(world.grown());
        others.wait_for_more(1);
    }
    let (gone, crowd) = going.join().expect("the crowd tells");
    assert_eq!(gone, COUNT, "each ends at its time-out");
    println!(
        "{manner}: {COUNT} of them cost {} KiB each",
        (most / COUNT as u64) >> 10
    );
    assert!(most <= each * COUNT as u64, "{} KiB in all", most >> 10);

    let report = crowd.finish();
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["told"], serde_json::json!({}), "{report}");
    world.wait_until_gone();
    others.wait_for_more(50);
    let _ = others.stop_without_failure();
}
