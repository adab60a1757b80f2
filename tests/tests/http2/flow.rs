//! Flow control (RFC 9113, 5.2 and 6.9), in both directions.

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::{self, code, kind, setting};
use swapgate_tests::h2::{Connection, Frame};

use crate::rows::{WHOLE_CONNECTION, ask, begin, held, row};
use crate::stage::Stage;

const MOST: u32 = 0x7fff_ffff;

#[test]
fn window_update() {
    let sized = |stream, length| Frame::new(kind::WINDOW_UPDATE, 0, stream, vec![1; length]);
    Stage::new().play(&[
        row(
            "6.9",
            "an increment of nothing on the connection",
            frame::window(0, 0),
        )
        .connection(code::PROTOCOL_ERROR),
        row(
            "6.9",
            "an increment of nothing on a stream",
            [held(1), frame::window(1, 0)],
        )
        .connection(code::PROTOCOL_ERROR)
        .rather("a stream error", WHOLE_CONNECTION),
        row("6.9", "three bytes", sized(0, 3)).general_code("FRAME_SIZE_ERROR"),
        row("6.9", "five bytes", sized(0, 5)).general_code("FRAME_SIZE_ERROR"),
        row("6.9", "five bytes on a stream", [held(1), sized(1, 5)])
            .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.9",
            "the reserved bit of the increment",
            frame::window(0, 1 | 1 << 31),
        ),
        row(
            "6.9.1",
            "the connection's window overflows at once",
            frame::window(0, MOST),
        )
        .connection(code::FLOW_CONTROL_ERROR),
        row(
            "6.9.1",
            "it overflows in two steps",
            [frame::window(0, MOST - 70_000), frame::window(0, 70_000)],
        )
        .connection(code::FLOW_CONTROL_ERROR),
        row(
            "6.9.1",
            "the largest window there is",
            frame::window(0, MOST - 65_535),
        ),
        row(
            "6.9.1",
            "a stream's window overflows",
            [held(1), frame::window(1, MOST)],
        )
        .stream(1, code::FLOW_CONTROL_ERROR),
        row(
            "6.9.1",
            "a stream's largest window",
            [held(1), frame::window(1, MOST - 65_535)],
        ),
    ]);
}

#[test]
fn windows_and_settings() {
    let initial = |size| frame::settings(&[(setting::INITIAL_WINDOW_SIZE, size)]);
    Stage::new().play(&[
        row("6.9.2", "no window at all, and then some", initial(0))
            .then(ask(1))
            .then(frame::window(1, 1000))
            .answer(1, 200)
            .last(),
        row("6.9.2", "a window too large", initial(MOST + 1)).general_code("FLOW_CONTROL_ERROR"),
        row("6.9.2", "the largest window", initial(MOST)),
        row(
            "6.9.2",
            "a setting that makes a stream's window overflow",
            [held(1), frame::window(1, MOST - 65_535), initial(65_536)],
        )
        .connection(code::FLOW_CONTROL_ERROR),
        row(
            "6.9.2",
            "a window that becomes negative",
            [held(1), initial(0), initial(65_535)],
        ),
    ]);
}

/// Byte for byte: what the client has no room for does not come.
#[test]
fn windows_of_the_client() {
    let stage = Stage::new();
    let mut connection = Connection::open_with(
        stage.gateway.address(),
        &[(setting::INITIAL_WINDOW_SIZE, 1)],
    );
    connection.keep_windows_shut();
    let stream = connection.ask(&get("/bytes/10"), None);
    let length = |connection: &Connection| connection.seen().answer(stream).body.len();
    connection
        .until(|seen| seen.answer(stream).body.len() == 1)
        .unwrap();
    // Two more in one step; then the setting takes one of them back (6.9.2), so that the window is minus one.
    connection.send(frame::window(stream, 2).encode());
    connection
        .until(|seen| seen.answer(stream).body.len() == 3)
        .unwrap();
    connection.send(frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]).encode());
    connection.send(frame::window(stream, 1).encode());
    connection.synchronize().unwrap();
    assert_eq!(length(&connection), 3, "the window is zero");
    connection.send(frame::window(stream, 1).encode());
    connection
        .until(|seen| seen.answer(stream).body.len() == 4)
        .unwrap();
    connection.send(frame::window(stream, 100).encode());
    assert_eq!(connection.answer(stream).unwrap().body.len(), 10);
}

#[test]
fn the_window_of_the_connection() {
    let stage = Stage::new();
    let settings = [(setting::INITIAL_WINDOW_SIZE, MOST)];
    let mut connection = Connection::open_with(stage.gateway.address(), &settings);
    connection.keep_windows_shut();
    let first = connection.ask(&get("/bytes/60000"), None);
    let second = connection.ask(&get("/bytes/60000"), None);
    let came = move |seen: &swapgate_tests::h2::Seen| {
        seen.answer(first).body.len() + seen.answer(second).body.len()
    };
    connection.until(|seen| came(seen) == 65_535).unwrap();
    connection.synchronize().unwrap();
    assert_eq!(came(connection.seen()), 65_535);
    // Answers without a body need no window.
    assert_eq!(connection.get("/bytes/0").unwrap().status, 200);
    connection.send(frame::window(0, 100_000).encode());
    for stream in [first, second] {
        assert_eq!(connection.answer(stream).unwrap().body.len(), 60_000);
    }
}

/// A client that writes more than the gateway gave it room for. Nobody reads the bodies, so that the windows stay.
#[test]
fn windows_of_the_gateway() {
    let stage = Stage::unconnected();
    let mut connection = stage.open();
    let window = |connection: &Connection| {
        connection
            .seen()
            .settings
            .get(&setting::INITIAL_WINDOW_SIZE)
            .copied()
    };
    let stream_window = usize::try_from(window(&connection).unwrap_or(65_535)).unwrap();
    connection.synchronize().unwrap();
    let more = connection
        .seen()
        .windows
        .get(&0)
        .copied()
        .unwrap_or_default();
    let connection_window = 65_535 + usize::try_from(more).unwrap();
    let filled = |stream, length: usize| {
        let pieces = vec![b'x'; length];
        pieces
            .chunks(16_384)
            .flat_map(|piece| frame::data(stream, piece).encode())
            .collect::<Vec<u8>>()
    };
    // One stream beyond its own window.
    let over = (stream_window + 1).min(connection_window + 1);
    connection.send([begin(1).encode(), filled(1, over)].concat());
    let ended = connection.until(|seen| seen.answer(1).reset.is_some());
    match ended {
        Ok(()) => assert_eq!(
            connection.seen().answer(1).reset,
            Some(code::FLOW_CONTROL_ERROR)
        ),
        Err(_) => assert_eq!(
            connection.seen().goaway_code(),
            Some(code::FLOW_CONTROL_ERROR)
        ),
    }
    // Many streams that keep to theirs, and together go beyond the connection's.
    let mut connection = stage.open();
    let streams = connection_window / stream_window + 1;
    for number in 0..streams {
        let stream = u32::try_from(2 * number + 1).unwrap();
        let length = (connection_window + 1 - number * stream_window).min(stream_window);
        let bytes = [begin(stream).encode(), filled(stream, length)].concat();
        // It may be over by the time the last byte is written.
        let _ = connection.try_send(bytes);
    }
    assert_eq!(
        connection.until_closed().unwrap(),
        Some(code::FLOW_CONTROL_ERROR)
    );
}

/// A body much larger than any window passes, because the windows open again as it does.
#[test]
fn a_body_larger_than_the_windows() {
    const BODY: usize = 4 << 20;
    let stage = Stage::new();
    let mut connection = stage.open();
    connection.send(begin(1).encode());
    let initial = connection
        .seen()
        .settings
        .get(&setting::INITIAL_WINDOW_SIZE);
    let initial = [65_535, initial.copied().unwrap_or(65_535)];
    let mut sent = 0;
    while sent < BODY {
        let opened = |of: usize| {
            let more = connection.seen().windows.get(&u32::try_from(of).unwrap());
            u64::from(initial[of]) + more.copied().unwrap_or_default() - sent as u64
        };
        let room = usize::try_from(opened(0).min(opened(1))).unwrap();
        if room == 0 {
            connection.step().unwrap();
            continue;
        }
        let piece = room.min(16_384).min(BODY - sent);
        connection.send(frame::data(1, vec![b'y'; piece]).encode());
        sent += piece;
    }
    connection.send(frame::last_data(1, "").encode());
    let answer = connection.answer(1).unwrap();
    assert_eq!(answer.json()["body"].as_str().map(str::len), Some(BODY));
}

/// As a client of gRPC does that streams small messages: h2 counts pieces that nobody has taken yet, and ends the connection
/// at too many. A window full of them is not too many, also while the upstream cannot be reached.
#[test]
fn a_window_full_of_small_messages() {
    const MESSAGE: usize = 32;
    for (stage, answered) in [(Stage::new(), true), (Stage::unconnected(), false)] {
        let mut connection = stage.open();
        let window = connection
            .seen()
            .settings
            .get(&setting::INITIAL_WINDOW_SIZE);
        let messages = window.copied().unwrap_or(65_535) as usize / MESSAGE;
        connection.send(begin(1).encode());
        let message = frame::data(1, [b'm'; MESSAGE]).encode();
        connection.send(message.repeat(messages));
        connection.synchronize().unwrap();
        assert_eq!(connection.seen().goaway, None);
        connection.send(frame::last_data(1, "").encode());
        if answered {
            let answer = connection.answer(1).unwrap();
            let body = answer.json()["body"].as_str().map(str::len);
            assert_eq!(body, Some(messages * MESSAGE));
        }
    }
}
