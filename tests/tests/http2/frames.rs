//! Frames as such: their format, size and order (RFC 9113, 4 and 5.5).

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::{self, code, flag, kind};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{ask, begin, row};
use crate::stage::Stage;

const RESERVED: u32 = 1 << 31;

#[test]
fn format() {
    let unknown = |flags, stream| Frame::new(0x16, flags, stream, "whatever");
    Stage::new().play(&[
        row(
            "4.1",
            "the reserved bit of PING",
            Frame::new(kind::PING, 0, RESERVED, [7; 8]),
        ),
        row(
            "4.1",
            "the reserved bit of HEADERS",
            Frame {
                stream: 1 | RESERVED,
                ..ask(1)
            },
        )
        .answer(1, 200),
        row(
            "4.1",
            "the reserved bit of DATA",
            [begin(1), frame::last_data(1 | RESERVED, "abc")],
        )
        .answer(1, 200),
        row(
            "4.1",
            "flags that have no meaning for SETTINGS",
            frame::settings(&[]).with(0xfe),
        ),
        row(
            "4.1",
            "flags that have no meaning for PING",
            frame::ping([1; 8]).with(0xfe),
        ),
        row(
            "4.1",
            "flags that have no meaning for HEADERS",
            ask(1).with(0xd2),
        )
        .answer(1, 200),
        row(
            "4.1",
            "flags that have no meaning for DATA",
            [begin(1), frame::last_data(1, "abc").with(0xf6)],
        )
        .answer(1, 200),
        row(
            "4.1",
            "flags that have no meaning for WINDOW_UPDATE",
            frame::window(0, 1).with(0xff),
        ),
        row(
            "4.1",
            "flags that have no meaning for RST_STREAM",
            [begin(1), frame::reset(1, code::CANCEL).with(0xff)],
        ),
        row("5.5", "an unknown frame on the connection", unknown(0, 0)),
        row(
            "5.5",
            "an unknown frame on a stream nobody opened",
            unknown(0xff, 9),
        ),
        row(
            "5.5",
            "an unknown frame within a request",
            [begin(1), unknown(0xff, 1), frame::last_data(1, "abc")],
        )
        .answer(1, 200),
        row(
            "5.5",
            "an unknown frame without a payload",
            Frame::new(0xff, 0, 0, ""),
        ),
        row(
            "5.5",
            "an unknown frame of the largest size",
            Frame::new(0xff, 0, 3, vec![1; 16_384]),
        ),
        row(
            "5.5",
            "a frame of RFC 9218",
            Frame::new(0x10, 0, 0, b"\0\0\0\x01u=3"),
        ),
        row(
            "5.5",
            "an unknown frame within a header block",
            [
                ask(1).without(flag::END_HEADERS),
                unknown(0, 1),
                frame::continuation(1, ""),
            ],
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
    ]);
}

#[test]
fn size() {
    let large = |kind, stream| Frame::new(kind, 0, stream, vec![0; 16_385]);
    let announced = |length| frame::head(length, kind::DATA, 0, 1);
    Stage::new().play(&[
        row(
            "4.2",
            "DATA of the largest size",
            [begin(1), frame::last_data(1, vec![b'x'; 16_384])],
        )
        .answer(1, 200),
        row(
            "4.2",
            "DATA of one byte more",
            [begin(1), large(kind::DATA, 1)],
        )
        .connection(code::FRAME_SIZE_ERROR)
        .unforwarded(),
        row("4.2", "HEADERS of one byte more", large(kind::HEADERS, 1))
            .connection(code::FRAME_SIZE_ERROR),
        row(
            "4.2",
            "CONTINUATION of one byte more",
            [
                ask(1).without(flag::END_HEADERS),
                large(kind::CONTINUATION, 1),
            ],
        )
        .connection(code::FRAME_SIZE_ERROR)
        .unforwarded(),
        row(
            "4.2",
            "SETTINGS of more",
            Frame::new(kind::SETTINGS, 0, 0, vec![0; 16_386]),
        )
        .connection(code::FRAME_SIZE_ERROR),
        row("4.2", "an unknown frame of one byte more", large(0xff, 0))
            .connection(code::FRAME_SIZE_ERROR),
        row(
            "4.2",
            "the largest length that can be said",
            [begin(1).encode(), announced(0xff_ffff)].concat(),
        )
        .connection(code::FRAME_SIZE_ERROR)
        .unforwarded(),
    ]);
}

#[test]
fn header_blocks_stand_together() {
    let block = pack::block(&get("/case"));
    let split = |at: usize| {
        let (first, second) = block.split_at(at);
        [
            frame::headers(1, first)
                .without(flag::END_HEADERS)
                .with(flag::END_STREAM),
            frame::continuation(1, second),
        ]
    };
    let between = |frame: Frame| {
        let [first, second] = split(5);
        [first, frame, second]
    };
    let [first, second] = split(10);
    let middle = || Frame::new(kind::CONTINUATION, 0, 1, "");
    let stage = Stage::new();
    stage.play(&[
        row("4.3", "split within a field", split(3)).answer(1, 200),
        row("4.3", "split after nothing", split(0)).answer(1, 200),
        row("4.3", "split after everything", split(block.len())).answer(1, 200),
        row(
            "6.10",
            "four empty CONTINUATION between",
            [first, middle(), middle(), middle(), middle(), second],
        )
        .answer(1, 200),
        row("4.3", "PING within a block", between(frame::ping([0; 8])))
            .connection(code::PROTOCOL_ERROR)
            .unforwarded(),
        row("4.3", "DATA within a block", between(frame::data(1, "x")))
            .connection(code::PROTOCOL_ERROR)
            .unforwarded(),
        row(
            "4.3",
            "SETTINGS within a block",
            between(frame::settings(&[])),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "4.3",
            "WINDOW_UPDATE within a block",
            between(frame::window(1, 1)),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "4.3",
            "PRIORITY within a block",
            between(frame::priority(1, 0, 1)),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "4.3",
            "RST_STREAM within a block",
            between(frame::reset(1, 8)),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "4.3",
            "HEADERS of another stream within a block",
            between(ask(3)),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "6.10",
            "CONTINUATION of another stream",
            between(frame::continuation(3, "")),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "6.10",
            "CONTINUATION of nothing",
            frame::continuation(1, ""),
        )
        .connection(code::PROTOCOL_ERROR),
        row(
            "6.10",
            "CONTINUATION of the connection",
            between(frame::continuation(0, "")),
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "6.10",
            "CONTINUATION after a whole block",
            [begin(1), frame::continuation(1, "")],
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
        row(
            "6.10",
            "CONTINUATION after DATA",
            [begin(1), frame::data(1, "x"), frame::continuation(1, "")],
        )
        .connection(code::PROTOCOL_ERROR)
        .unforwarded(),
    ]);
    let mut all = Vec::new();
    for at in 1..block.len() {
        all.push(row("4.3", format!("split at byte {at}"), split(at)).answer(1, 200));
    }
    stage.play(&all);
}
