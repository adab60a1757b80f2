//! The frames of streams: lengths, padding, values (RFC 9113, 6.1 to 6.4, and what is left of 5.3).

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::{self, code, dependency, flag, kind};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{WHOLE_CONNECTION, ask, begin, held, row};
use crate::stage::Stage;

#[test]
fn data_and_headers() {
    let block = || pack::block(&get("/case"));
    let data = |flags, payload: &[u8]| [begin(1), Frame::new(kind::DATA, flags, 1, payload)];
    let headers = |flags, payload: Vec<u8>| {
        Frame::new(
            kind::HEADERS,
            flag::END_HEADERS | flag::END_STREAM | flags,
            1,
            payload,
        )
    };
    let with_priority = |on| headers(flag::PRIORITY, [dependency(on, 200), block()].concat());
    let conn = code::PROTOCOL_ERROR;
    Stage::new().play(&[
        row("6.1", "DATA on stream 0", frame::data(0, "x")).connection(conn),
        row(
            "6.1",
            "padding",
            [
                begin(1),
                frame::data(1, "abc").padded(200),
                frame::last_data(1, "").padded(255),
            ],
        )
        .answer(1, 200),
        row(
            "6.1",
            "padding of no length",
            [begin(1), frame::last_data(1, "abc").padded(0)],
        )
        .answer(1, 200),
        row(
            "6.1",
            "padding as long as the payload",
            data(flag::PADDED, b"\x04abc"),
        )
        .connection(conn)
        .unforwarded(),
        row(
            "6.1",
            "padding longer than the payload",
            data(flag::PADDED, b"\xffabc"),
        )
        .connection(conn)
        .unforwarded(),
        row(
            "6.1",
            "padding without room for its length",
            data(flag::PADDED, b""),
        )
        .general_code("FRAME_SIZE_ERROR")
        .unforwarded(),
        row(
            "6.1",
            "padding that is not zero",
            [
                begin(1),
                Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, b"\x02abcGE"),
            ],
        )
        .answer(1, 200),
        row(
            "6.1",
            "nothing, several times",
            [
                begin(1),
                frame::data(1, ""),
                frame::data(1, ""),
                frame::last_data(1, ""),
            ],
        )
        .answer(1, 200),
        row("6.2", "padding", ask(1).padded(100)).answer(1, 200),
        row(
            "6.2",
            "padding as long as the payload",
            headers(flag::PADDED, vec![1]),
        )
        .connection(conn)
        .unforwarded(),
        row(
            "6.2",
            "padding longer than the payload",
            headers(flag::PADDED, [vec![255], block()].concat()),
        )
        .connection(conn)
        .unforwarded(),
        row(
            "6.2",
            "padding without room for its length",
            headers(flag::PADDED, vec![]),
        )
        .general_code("FRAME_SIZE_ERROR"),
        row("6.2", "a priority", with_priority(0)).answer(1, 200),
        row(
            "6.2",
            "an exclusive priority on a stream nobody knows",
            with_priority(99 | 1 << 31),
        )
        .answer(1, 200),
        row("6.2", "a priority on itself", with_priority(1))
            .stream(1, conn)
            .rather(
                "nothing",
                "RFC 7540, 5.3.1 asked for this, and whoever sends priorities speaks RFC 7540",
            ),
        row(
            "6.2",
            "a priority cut off",
            headers(flag::PRIORITY, vec![0; 4]),
        )
        .general_code("FRAME_SIZE_ERROR")
        .unforwarded(),
        row(
            "6.2",
            "padding and a priority",
            headers(flag::PRIORITY, [dependency(0, 1), block()].concat()).padded(9),
        )
        .answer(1, 200),
        row("6.2", "nothing at all", headers(0, vec![]))
            .stream(1, conn)
            .unforwarded(),
        row("6.2", "a block cut off", headers(0, block()[..40].to_vec()))
            .general_code("COMPRESSION_ERROR")
            .unforwarded(),
    ]);
}

#[test]
fn priority_and_reset() {
    let sized = |kind, stream, length| Frame::new(kind, 0, stream, vec![0; length]);
    Stage::new().play(&[
        row(
            "6.3",
            "a priority of the connection",
            frame::priority(0, 1, 1),
        )
        .connection(code::PROTOCOL_ERROR),
        row("6.3", "four bytes", sized(kind::PRIORITY, 1, 4))
            .connection(code::PROTOCOL_ERROR)
            .rather("a stream error FRAME_SIZE_ERROR", WHOLE_CONNECTION),
        row("6.3", "six bytes", sized(kind::PRIORITY, 1, 6))
            .connection(code::PROTOCOL_ERROR)
            .rather("a stream error FRAME_SIZE_ERROR", WHOLE_CONNECTION),
        row(
            "5.3",
            "streams that depend on each other",
            [frame::priority(3, 5, 1), frame::priority(5, 3, 1), ask(7)],
        )
        .answer(7, 200),
        row(
            "5.3",
            "a priority on itself",
            [held(1), frame::priority(1, 1, 1)],
        )
        .stream(1, code::PROTOCOL_ERROR)
        .rather(
            "nothing",
            "RFC 7540, 5.3.1 asked for this, and whoever sends priorities speaks RFC 7540",
        ),
        row(
            "5.3",
            "a priority within a body",
            [begin(1), frame::priority(1, 3, 9), frame::last_data(1, "x")],
        )
        .answer(1, 200),
        row(
            "5.3",
            "a priority of an even stream",
            frame::priority(2, 0, 9),
        ),
        row(
            "6.4",
            "a reset of the connection",
            frame::reset(0, code::CANCEL),
        )
        .connection(code::PROTOCOL_ERROR),
        row(
            "6.4",
            "three bytes",
            [held(1), sized(kind::RST_STREAM, 1, 3)],
        )
        .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.4",
            "five bytes",
            [held(1), sized(kind::RST_STREAM, 1, 5)],
        )
        .general_code("FRAME_SIZE_ERROR"),
        row(
            "6.4",
            "a reset, and then a request",
            [held(1), frame::reset(1, code::NO_ERROR), ask(3)],
        )
        .answer(3, 200),
    ]);
}
