//! Clients that take nothing: windows that stay shut, sockets that nobody reads, heads that never end. What they hold is
//! bounded, and the time-outs end it.

use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::frame::{self, flag, setting};
use swapgate_tests::h2::{Connection, PREFACE, pack};
use swapgate_tests::process::anonymous_bytes;

use crate::bystander::Bystander;
use crate::stage::Stage;

/// A client is given up that takes or sends nothing for a second, and so is one that asks for nothing.
const SHORT: &str = "client_timeouts: {header: 1s, body: 1s, idle: 1s}";

/// The same, but somebody who asks for nothing while the machine is busy is kept.
const PATIENT: &str = "client_timeouts: {header: 1s, body: 1s}";

/// What a hundred streams may hold that nobody takes: each what is read ahead of a target, 64 KiB in each of the places it
/// passes, and 64 KiB on its way to the client; and as much again for what the allocator keeps.
const ROOM: u64 = 72 << 20;

/// Asks for large answers on every stream there may be, and takes none of them.
fn asks_for_much(connection: &mut Connection) {
    let streams = connection
        .seen()
        .settings
        .get(&setting::MAX_CONCURRENT_STREAMS);
    for _ in 0..streams.copied().unwrap_or(100) {
        connection.ask(&get("/bytes/4000000"), None);
    }
}

#[test]
fn windows_that_stay_shut() {
    let stage = Stage::with(PATIENT);
    let bystander = Bystander::beside(&stage.gateway);
    let before = anonymous_bytes(stage.gateway.pid());
    for size in [0, 10] {
        let settings = [(setting::INITIAL_WINDOW_SIZE, size)];
        let mut connection = Connection::open_with(stage.gateway.address(), &settings);
        connection.keep_windows_shut();
        asks_for_much(&mut connection);
        connection.until(|seen| seen.answers.len() > 50).unwrap();
        let grown = anonymous_bytes(stage.gateway.pid()).saturating_sub(before);
        assert!(grown < ROOM, "{} KiB", grown >> 10);
        // Each stream ends, or all of them with the connection; the upstream is let go in any case.
        let over = connection.until(|seen| {
            seen.answers
                .values()
                .filter(|answer| answer.reset.is_some())
                .count()
                > 50
        });
        assert!(over.is_ok() || connection.until_closed().is_ok());
        drop(connection);
    }
    bystander.wait_for_more(5);
    bystander.finish();
}

/// Streams on which something happens do not keep one alive on which nothing does.
#[test]
fn one_window_that_stays_shut_on_a_busy_connection() {
    let stage = Stage::with(PATIENT);
    let mut connection = stage.open();
    // The window of the connection is used up; answers without a body need none.
    connection.keep_windows_shut();
    let large = connection.ask(&get("/bytes/70000"), None);
    let mut turns = 0;
    while !connection.seen().is_over(large) {
        let Ok(answer) = connection.get("/bytes/0") else {
            return;
        };
        assert_eq!(answer.status, 200);
        turns += 1;
        assert!(turns < 100_000, "the stream is held for ever");
    }
}

#[test]
fn a_socket_that_nobody_reads() {
    let stage = Stage::with(PATIENT);
    let bystander = Bystander::beside(&stage.gateway);
    let before = anonymous_bytes(stage.gateway.pid());
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut connection = Connection::open_with(stage.gateway.address(), &settings);
    connection.send(frame::window(0, 0x7fff_0000).encode());
    asks_for_much(&mut connection);
    // Two seconds' worth of somebody else's requests, counted and not timed: the socket is full long before.
    bystander.wait_for_more(50);
    let grown = anonymous_bytes(stage.gateway.pid()).saturating_sub(before);
    assert!(grown < ROOM, "{} KiB", grown >> 10);
    swapgate_tests::eventually!(
        stage.upstream.open_connections() <= 2,
        "the answers are given up"
    );
    bystander.wait_for_more(5);
    bystander.finish();
}

#[test]
fn heads_and_bodies_that_never_end() {
    let stage = Stage::with(SHORT);
    let post = frame::headers(1, pack::block(&request("POST", "/case")));
    let beginnings: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("half a preface", PREFACE[..10].to_vec()),
        ("a preface", PREFACE.to_vec()),
        (
            "half a frame",
            [
                PREFACE,
                &frame::settings(&[]).encode(),
                &post.encode()[..20],
            ]
            .concat(),
        ),
        (
            "half a head",
            [
                PREFACE,
                &frame::settings(&[]).encode(),
                &post.clone().without(flag::END_HEADERS).encode(),
            ]
            .concat(),
        ),
    ];
    for (what, bytes) in beginnings {
        let mut connection = Connection::connect(stage.gateway.address());
        connection.send(bytes);
        let closed = connection.until_closed();
        assert!(closed.is_ok(), "{what}: {closed:?}");
    }
    // A body that stops: the stream ends, or the connection.
    let mut connection = stage.open();
    connection.send([post.encode(), frame::data(1, "abc").encode()].concat());
    let over = connection.answer(1);
    assert!(
        over.is_err() || over.is_ok_and(|answer| answer.status == 408 || answer.reset.is_some())
    );
    assert_eq!(stage.upstream.take_requests(), []);
    // A connection without a request.
    let mut connection = stage.open();
    assert_eq!(connection.get("/case").unwrap().status, 200);
    assert_eq!(
        connection.until_closed().unwrap(),
        Some(0),
        "an idle connection ends in an orderly way"
    );
}

/// PINGs are no requests: they do not keep an idle connection open for ever.
#[test]
fn pings_do_not_keep_an_idle_connection() {
    let stage = Stage::with(SHORT);
    let mut connection = stage.open();
    assert_eq!(connection.get("/case").unwrap().status, 200);
    // Each one waits for its answer, so that this is no flood; the limit is on the test, not on the gateway.
    for turn in 0_u32.. {
        if connection.synchronize().is_err() {
            break;
        }
        assert!(turn < 200_000, "an idle connection is kept for ever");
    }
}
