//! The frames about a connection: SETTINGS, PUSH_PROMISE, PING and GOAWAY (RFC 9113, 6.5 to 6.8).

use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::frame::{self, code, flag, kind, setting};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{GENERAL_CODE, Row, ask, begin, held, row};
use crate::stage::Stage;

#[test]
fn settings() {
    let one = |name, value| frame::settings(&[(name, value)]);
    let value = |name: &str, frame| row("6.5.2", name, frame);
    let conn = code::PROTOCOL_ERROR;
    Stage::new().play(&[
        row(
            "6.5",
            "on a stream",
            Frame {
                stream: 1,
                ..frame::settings(&[])
            },
        )
        .connection(conn),
        row(
            "6.5",
            "five bytes",
            Frame::new(kind::SETTINGS, 0, 0, vec![0; 5]),
        )
        .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.5",
            "seven bytes",
            Frame::new(kind::SETTINGS, 0, 0, vec![0; 7]),
        )
        .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.5",
            "an acknowledgement with a payload",
            one(setting::MAX_FRAME_SIZE, 16_384).with(flag::ACK),
        )
        .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.5.3",
            "an acknowledgement of nothing",
            frame::settings(&[]).with(flag::ACK),
        )
        .connection(conn)
        .rather(
            "nothing is said",
            "a peer that counts wrong cannot be understood any further",
        ),
        value("push as neither on nor off", one(setting::ENABLE_PUSH, 2)).connection(conn),
        value("push on", one(setting::ENABLE_PUSH, 1)),
        value("push off", one(setting::ENABLE_PUSH, 0)),
        value("frames too small", one(setting::MAX_FRAME_SIZE, 16_383)).connection(conn),
        value("frames too large", one(setting::MAX_FRAME_SIZE, 1 << 24)).connection(conn),
        value(
            "the largest frames",
            one(setting::MAX_FRAME_SIZE, (1 << 24) - 1),
        ),
        value(
            "no streams of the gateway's own",
            one(setting::MAX_CONCURRENT_STREAMS, 0),
        ),
        value(
            "a header list of nothing",
            one(setting::MAX_HEADER_LIST_SIZE, 0),
        ),
        value("every setting at the start", ask(1))
            .settings(&[
                (1, 0),
                (2, 0),
                (3, 0),
                (4, 70_000),
                (5, 20_000),
                (6, 65_536),
                (99, 99),
            ])
            .answer(1, 200),
        value("an unknown setting", one(0xabcd, u32::MAX)),
        value("an unknown setting of nothing", one(0, 0)),
        value(
            "the same setting twice",
            frame::settings(&[
                (setting::MAX_FRAME_SIZE, 20_000),
                (setting::MAX_FRAME_SIZE, 16_384),
            ]),
        ),
        value(
            "a good one after a bad one",
            frame::settings(&[(setting::ENABLE_PUSH, 7), (setting::ENABLE_PUSH, 0)]),
        )
        .connection(conn),
        row(
            "RFC 8441 3",
            "extended CONNECT as neither on nor off",
            one(setting::ENABLE_CONNECT_PROTOCOL, 2),
        )
        .connection(conn),
        row(
            "RFC 8441 3",
            "extended CONNECT of a client",
            one(setting::ENABLE_CONNECT_PROTOCOL, 1),
        ),
    ]);
}

/// Each is acknowledged, in the order in which they came, and in force by then.
#[test]
fn settings_are_acknowledged() {
    let stage = Stage::new();
    let mut connection = stage.open();
    for _ in 0..10 {
        connection.send(frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]).encode());
    }
    connection
        .until(|seen| seen.settings_frames.1 == 11)
        .unwrap();
    connection.synchronize().unwrap();
    assert_eq!(connection.seen().settings_frames, (1, 11));
    assert_eq!(connection.get("/case").unwrap().status, 200);
}

#[test]
fn ping_goaway_and_push() {
    let ping = |stream, length| Frame::new(kind::PING, 0, stream, vec![0; length]);
    let promise = |stream| {
        let block = [2_u32.to_be_bytes().to_vec(), pack::block(&get("/case"))].concat();
        Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, block)
    };
    // What h2 itself sends when it shuts a connection down: an answer to it that nobody asked for.
    let shutdown = frame::ping([0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54]);
    let conn = code::PROTOCOL_ERROR;
    let rows: Vec<Row> = vec![
        row("6.6", "a promise of a client", promise(0)).connection(conn),
        row("8.4", "a promise on a stream", [begin(1), promise(1)])
            .connection(conn)
            .unforwarded(),
        row("8.4", "a promise on an idle stream", promise(1)).connection(conn),
        row("6.7", "on a stream", ping(1, 8)).connection(conn),
        row("6.7", "seven bytes", ping(0, 7)).general_code("FRAME_SIZE_ERROR"),
        row("6.7", "nine bytes", ping(0, 9)).general_code("FRAME_SIZE_ERROR"),
        row(
            "6.7",
            "an answer nobody asked for",
            frame::ping([9; 8]).with(flag::ACK),
        ),
        row(
            "6.7",
            "the answer to a shutdown that is none",
            shutdown.with(flag::ACK),
        ),
        row(
            "6.7",
            "while a stream waits",
            [held(1), frame::ping([3; 8])],
        ),
        row(
            "6.8",
            "on a stream",
            Frame {
                stream: 1,
                ..frame::goaway(0, 0)
            },
        )
        .connection(conn),
        row(
            "6.8",
            "seven bytes",
            Frame::new(kind::GOAWAY, 0, 0, vec![0; 7]),
        )
        .connection(conn)
        .rather("FRAME_SIZE_ERROR", GENERAL_CODE),
        row("6.8", "with nothing open", frame::goaway(0, code::NO_ERROR))
            .connection(code::NO_ERROR),
    ];
    Stage::new().play(&rows);
}

/// A client that leaves gets what it asked for before (RFC 9113, 6.8).
#[test]
fn goaway_lets_streams_end() {
    let stage = Stage::new();
    for said in [code::NO_ERROR, code::ENHANCE_YOUR_CALM, 0xdead_beef] {
        let mut connection = stage.open();
        let first = connection.ask(&get("/case"), None);
        let second = connection.ask(&request("POST", "/case"), Some(b"abc"));
        connection.send([frame::goaway(0, said).encode(), vec![]].concat());
        for stream in [first, second] {
            assert_eq!(connection.answer(stream).unwrap().status, 200, "{said:x}");
        }
        connection.until_closed().unwrap();
    }
}

#[test]
fn every_ping_is_answered_with_its_own_payload() {
    let stage = Stage::new();
    let mut connection = stage.open();
    for turn in 0..20 {
        connection.send(frame::ping([turn; 8]).encode());
        connection
            .until(|seen| seen.pongs.last().is_some_and(|pong| *pong == [turn; 8]))
            .unwrap();
    }
    assert_eq!(connection.seen().pongs.len(), 20);
}
