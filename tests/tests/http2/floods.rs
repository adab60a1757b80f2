//! Clients that send much of what costs them little and the gateway more. Somebody else is answered all the time, the memory
//! stays bounded, and the connection ends, mostly with ENHANCE_YOUR_CALM.

use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::frame::{self, code, flag, kind, setting};
use swapgate_tests::h2::pack::{self, Keep};
use swapgate_tests::h2::{Connection, Frame};

use crate::bystander::{BATCH, CALM, MOST, flood, repeated, survives};
use crate::rows::{ask, begin, held, whole};
use crate::stage::Stage;

/// Frames that use up a stream each.
#[track_caller]
fn streams(frames: impl Fn(u32) -> Vec<Frame> + Clone + Send + 'static) {
    let stage = Stage::new();
    let ends = survives(&stage, |stage| {
        let frames = frames.clone();
        let batch = move |turn| {
            let one = |n| frames(2 * (turn * BATCH + n) + 1);
            (0..BATCH)
                .flat_map(one)
                .flat_map(|frame| frame.encode())
                .collect()
        };
        flood(stage.open(), MOST, batch)
    });
    assert!(ends.iter().all(|code| *code == CALM), "{ends:?}");
}

#[test]
fn empty_data() {
    repeated(&[begin(1)], &frame::data(1, ""));
}

#[test]
fn padding_and_nothing_else() {
    repeated(&[begin(1)], &frame::data(1, "").padded(0));
}

/// CVE-2023-44487.
#[test]
fn rapid_reset() {
    streams(|stream| vec![ask(stream), frame::reset(stream, code::CANCEL)]);
}

/// The same with bodies that have begun.
#[test]
fn rapid_reset_of_bodies() {
    streams(|stream| {
        vec![
            begin(stream),
            frame::data(stream, "x"),
            frame::reset(stream, code::CANCEL),
        ]
    });
}

/// The gateway is made to reset (CVE-2025-8671): the window update of nothing is an error of the connection in h2, so an
/// overflow it is.
#[test]
fn resets_of_the_gateway() {
    streams(|stream| vec![held(stream), frame::window(stream, 0x7fff_ffff)]);
}

#[test]
fn malformed_requests() {
    streams(|stream| vec![whole(stream, &get("/case")[1..])]);
}

#[test]
fn heads_of_nothing() {
    streams(|stream| vec![frame::headers(stream, "").with(flag::END_STREAM)]);
}

#[test]
fn streams_beyond_the_limit() {
    streams(|stream| vec![held(stream)]);
}

/// One reset at a time, each after the request has reached the upstream: no batch of frames gives it away.
#[test]
fn patient_resets() {
    let stage = Stage::new();
    let ends = survives(&stage, |stage| {
        let mut connection = stage.open();
        loop {
            let stream = connection.next_stream();
            let sent = connection.try_send(held(stream).encode());
            let read = sent.and_then(|()| connection.synchronize());
            let reset = read
                .and_then(|()| connection.try_send(frame::reset(stream, code::CANCEL).encode()));
            if reset.is_err() {
                return connection.seen().goaway_code();
            }
            // A client that gives up so many requests one by one costs what requests cost; it is slowed down by the
            // gateway's own answers. It need not be ended.
            if stream > 1000 {
                return CALM;
            }
        }
    });
    assert!(ends.iter().all(|code| *code == CALM), "{ends:?}");
}

/// CVE-2024-27316 and its kin: a header block that never ends.
#[test]
fn continuations() {
    let field = pack::literal(Keep::Not, "x-name", "v".repeat(100));
    let pieces: [(&str, Vec<u8>); 4] = [
        ("of nothing", Vec::new()),
        ("of a byte", vec![0]),
        ("of fields", field.repeat(16_000 / field.len())),
        ("of a field that never ends", vec![b'v'; 16_384]),
    ];
    for (what, piece) in pieces {
        let stage = Stage::new();
        let first = match what {
            // A literal whose value is announced with 200 MB.
            "of a field that never ends" => {
                [&b"\x00\x01x"[..], &pack::integer(0, 7, 200 << 20)].concat()
            }
            _ => pack::block(&get("/case")),
        };
        let ends = survives(&stage, |stage| {
            let mut connection = stage.open();
            connection.send(
                frame::headers(1, first.clone())
                    .without(flag::END_HEADERS)
                    .encode(),
            );
            let more = Frame::new(kind::CONTINUATION, 0, 1, piece.clone()).encode();
            flood(connection, MOST, move |_| more.clone())
        });
        // A name of no length, and a number too large, are errors of the compression before they are too many.
        let fits = |code: &Option<u32>| {
            *code == CALM
                || *code == Some(code::PROTOCOL_ERROR)
                || *code == Some(code::COMPRESSION_ERROR)
        };
        assert!(ends.iter().all(fits), "{what}: {ends:?}");
    }
}

/// Names of no length, thousands in a block.
#[test]
fn names_of_nothing() {
    let stage = Stage::new();
    let block = b"\x00\x00\x00".repeat(5000);
    let ends = survives(&stage, |stage| {
        let mut connection = stage.open();
        connection.send(frame::headers(1, block.clone()).encode());
        connection.until_closed().unwrap()
    });
    assert!(
        ends.iter().all(|code| *code == Some(code::PROTOCOL_ERROR)),
        "{ends:?}"
    );
}

/// 4 KB that stand in the table, named 16,000 times: 64 MB of fields in 16 KB.
#[test]
fn compression_bomb() {
    let stage = Stage::new();
    let large = pack::literal(Keep::Indexed, "x", "v".repeat(4000));
    let ends = survives(&stage, |stage| {
        let mut connection = stage.open();
        let first = [pack::block(&get("/case")), large.clone()].concat();
        connection.send(frame::headers(1, first).with(flag::END_STREAM).encode());
        assert_eq!(connection.answer(1).unwrap().status, 200);
        connection.send(frame::headers(3, pack::indexed(62).repeat(16_000)).encode());
        connection.until_closed().unwrap()
    });
    assert!(ends.iter().all(|code| *code == CALM), "{ends:?}");
}

/// The same in small: just over the limit is a matter of the request, not of the connection.
#[test]
fn a_head_somewhat_too_large() {
    let stage = Stage::with("limits: {header_bytes: 16KiB}");
    let mut connection = stage.open();
    let mut block = pack::block(&get("/case"));
    block.extend(pack::literal(Keep::Indexed, "x", "v".repeat(4000)));
    block.extend(pack::indexed(62).repeat(5));
    connection.send(frame::headers(1, block).with(flag::END_STREAM).encode());
    assert_eq!(connection.answer(1).unwrap().status, 431);
    connection.skip_to(3);
    assert_eq!(connection.get("/case").unwrap().status, 200);
}

/// Many small pieces of a body nobody reads.
#[test]
fn crumbs_of_data() {
    let stage = Stage::unconnected();
    let mut connection = stage.open();
    connection.send(begin(1).encode());
    let batch = frame::data(1, "x").encode().repeat(BATCH as usize);
    let code = flood(connection, MOST, move |_| batch.clone());
    assert_eq!(code, CALM);
}

#[test]
fn a_body_that_nobody_reads_is_bounded() {
    let stage = Stage::unconnected();
    let before = swapgate_tests::process::anonymous_bytes(stage.gateway.pid());
    let mut connections: Vec<Connection> = (0..10).map(|_| stage.open()).collect();
    for connection in &mut connections {
        let window = connection
            .seen()
            .settings
            .get(&setting::INITIAL_WINDOW_SIZE)
            .copied();
        let body = vec![b'x'; window.unwrap_or(65_535) as usize];
        let pieces = body
            .chunks(16_384)
            .flat_map(|piece| frame::data(1, piece).encode());
        let post = frame::headers(1, pack::block(&request("POST", "/case")));
        connection.send([post.encode(), pieces.collect()].concat());
        connection.synchronize().unwrap();
    }
    let grown =
        swapgate_tests::process::anonymous_bytes(stage.gateway.pid()).saturating_sub(before);
    assert!(grown < 48 << 20, "{} KiB", grown >> 10);
}
