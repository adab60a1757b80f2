//! Streams: their states, identifiers and number (RFC 9113, 5.1), errors of one and of all (5.4), and asking again (8.7).

use swapgate_tests::h2::connection::{get, request};
use swapgate_tests::h2::frame::{self, code, flag};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{Row, WHOLE_CONNECTION, ask, begin, begin_with, held, row, whole};
use crate::stage::Stage;

#[test]
fn idle() {
    let on = |name, frame: Frame| row("5.1", format!("{name} on an idle stream"), frame);
    Stage::new().play(&[
        on("DATA", frame::data(1, "x")).connection(code::PROTOCOL_ERROR),
        on("RST_STREAM", frame::reset(1, code::CANCEL)).connection(code::PROTOCOL_ERROR),
        on("WINDOW_UPDATE", frame::window(1, 1)).connection(code::PROTOCOL_ERROR),
        on("CONTINUATION", frame::continuation(1, "")).connection(code::PROTOCOL_ERROR),
        on("PRIORITY", frame::priority(1, 0, 16)),
        on("DATA of an even number", frame::data(2, "x")).connection(code::PROTOCOL_ERROR),
        row(
            "5.1",
            "PRIORITY and then the request",
            [frame::priority(1, 0, 16), ask(1)],
        )
        .answer(1, 200),
    ]);
}

#[test]
fn half_closed() {
    let after = |name, frame: Frame| {
        row(
            "5.1",
            format!("{name} after the end of the request"),
            [held(1), frame],
        )
    };
    Stage::new().play(&[
        after("DATA", frame::data(1, "x"))
            .connection(code::PROTOCOL_ERROR)
            .rather("a stream error STREAM_CLOSED", WHOLE_CONNECTION),
        after("the end of DATA", frame::last_data(1, ""))
            .connection(code::PROTOCOL_ERROR)
            .rather("a stream error STREAM_CLOSED", WHOLE_CONNECTION),
        after("HEADERS", ask(1))
            .connection(code::PROTOCOL_ERROR)
            .rather("a stream error STREAM_CLOSED", WHOLE_CONNECTION),
        after("HEADERS without an end", begin(1))
            .stream(1, code::PROTOCOL_ERROR)
            .rather(
                "STREAM_CLOSED",
                "trailers without END_STREAM are malformed as well (8.1)",
            ),
        after("CONTINUATION", frame::continuation(1, "")).connection(code::PROTOCOL_ERROR),
        after("WINDOW_UPDATE", frame::window(1, 100)),
        after("PRIORITY", frame::priority(1, 0, 3)),
        after("RST_STREAM", frame::reset(1, code::CANCEL)),
    ]);
}

#[test]
fn closed() {
    let after = |name, frame: Frame| {
        row("5.1", format!("{name} after the answer"), ask(1))
            .over(1)
            .then(frame)
    };
    let reset = |name, frame: Frame| {
        let steps = [held(1), frame::reset(1, code::CANCEL)];
        row("5.1", format!("{name} after the client's reset"), steps)
            .read()
            .then(frame)
    };
    Stage::new().play(&[
        after("DATA", frame::data(1, "x"))
            .stream(1, code::STREAM_CLOSED)
            .rather(
                "a connection error",
                "RFC 9113, 5.1 permits a stream error as well: frames may have been on their way",
            ),
        after("HEADERS", ask(1)).general_code("STREAM_CLOSED"),
        after("CONTINUATION", frame::continuation(1, "")).connection(code::PROTOCOL_ERROR),
        after("WINDOW_UPDATE", frame::window(1, 1)),
        after("RST_STREAM", frame::reset(1, code::NO_ERROR)),
        after("PRIORITY", frame::priority(1, 0, 3)),
        reset("DATA", frame::data(1, "x")).stream(1, code::STREAM_CLOSED),
        reset("HEADERS", ask(1)).general_code("STREAM_CLOSED"),
        reset("WINDOW_UPDATE", frame::window(1, 1)),
        reset("RST_STREAM", frame::reset(1, code::CANCEL)),
        reset("PRIORITY", frame::priority(1, 0, 3)),
        row(
            "5.1",
            "frames after the gateway's own reset",
            [
                begin_with(1, &[("content-length", "-")]),
                frame::data(1, "x"),
                frame::last_data(1, "y"),
            ],
        )
        .stream(1, code::PROTOCOL_ERROR)
        .unforwarded(),
    ]);
}

#[test]
fn identifiers() {
    Stage::new().play(&[
        row("5.1.1", "an even number", ask(2))
            .connection(code::PROTOCOL_ERROR)
            .unforwarded(),
        row("5.1.1", "a number below the last one", ask(5))
            .over(5)
            .then(ask(3))
            .connection(code::PROTOCOL_ERROR),
        row("5.1.1", "a number twice", ask(3))
            .over(3)
            .then(ask(3))
            .general_code("STREAM_CLOSED"),
        row("5.1.1", "numbers left out", [ask(1), ask(101)]).answer(101, 200),
        row(
            "5.1.1",
            "DATA on a number left out",
            [ask(1), ask(101), frame::data(51, "x")],
        )
        .stream(51, code::STREAM_CLOSED)
        .rather(
            "a connection error",
            "it is closed, and RFC 9113, 5.1 permits a stream error for DATA",
        ),
        row("5.1.1", "HEADERS on stream 0", ask(0))
            .connection(code::PROTOCOL_ERROR)
            .unforwarded(),
        row("5.1.1", "the highest number there is", ask(0x7fff_ffff))
            .answer(0x7fff_ffff, 200)
            .last(),
        row("5.1.1", "a number after the highest", ask(0x7fff_ffff))
            .over(0x7fff_ffff)
            .then(ask(1))
            .connection(code::PROTOCOL_ERROR),
    ]);
}

#[test]
fn concurrency() {
    let three = || vec![held(1), held(3), held(5)];
    let and = |more: Vec<Frame>| [three(), more].concat();
    Stage::with("limits: {streams: 3}").play(&[
        row(
            "5.1.2",
            "as many as are permitted",
            vec![held(1), held(3), ask(5)],
        )
        .answer(5, 200),
        row("5.1.2", "one more", and(vec![ask(7)]))
            .stream(7, code::REFUSED_STREAM)
            .last()
            .unforwarded(),
        row(
            "8.7",
            "a refused request asked again",
            and(vec![ask(7), frame::reset(3, code::CANCEL)]),
        )
        .over(7)
        .then(ask(9))
        .answer(9, 200),
        row(
            "5.1.2",
            "one more, with a body",
            and(vec![
                begin(7),
                frame::data(7, "abc"),
                frame::last_data(7, "def"),
            ]),
        )
        .stream(7, code::REFUSED_STREAM)
        .last()
        .unforwarded(),
        row(
            "5.1.2",
            "room again after a reset",
            and(vec![frame::reset(1, code::CANCEL), ask(7)]),
        )
        .answer(7, 200),
        row(
            "5.1.2",
            "room again after an answer",
            vec![held(1), held(3), ask(5)],
        )
        .over(5)
        .then(ask(7))
        .answer(7, 200),
        row("5.1.2", "streams that are malformed take no room", {
            let malformed = |n| whole(n, &get("/case")[..2]);
            vec![malformed(1), malformed(3), malformed(5), malformed(7)]
        })
        .over(1)
        .over(3)
        .over(5)
        .over(7)
        .read()
        .then(ask(9))
        .answer(9, 200),
    ]);
}

#[test]
fn errors() {
    let malformed = |stream| whole(stream, &get("/case")[1..]);
    Stage::new().play(&[
        row(
            "5.4.2",
            "a malformed request beside a good one",
            [ask(1), malformed(3), ask(5)],
        )
        .answer(5, 200),
        row("5.4.2", "the good one before it", [ask(1), malformed(3)]).answer(1, 200),
        row(
            "5.4.2",
            "a reset is not answered by one",
            [held(1), frame::reset(1, code::PROTOCOL_ERROR)],
        ),
        row(
            "5.4.1",
            "a broken connection ends all streams",
            [held(1), frame::continuation(1, "")],
        )
        .connection(code::PROTOCOL_ERROR),
        row(
            "7",
            "a reset with an unknown code",
            [held(1), frame::reset(1, 0xdead_beef)],
        ),
        row(
            "8.7",
            "many requests, each answered",
            (0..50).map(|n| ask(2 * n + 1)).collect::<Vec<_>>(),
        )
        .answer(99, 200),
        row(
            "8.7",
            "streams opened and reset again",
            opened_and_reset(15),
        ),
    ]);
}

/// What the client gave up is given up at the upstream as well; and GOAWAY says up to which stream requests were acted on.
#[test]
fn ends_reach_the_upstream() {
    let stage = Stage::new();
    let mut connection = stage.open();
    let stream = connection.ask(&get("/held"), None);
    stage.upstream.wait_for_requests(1);
    connection.send(frame::reset(stream, code::CANCEL).encode());
    swapgate_tests::eventually!(stage.upstream.open_connections() == 0);
    let unfinished = connection.next_stream();
    connection.send(frame::headers(unfinished, pack::block(&request("POST", "/case"))).encode());
    let last = connection.ask(&get("/held"), None);
    stage.upstream.wait_for_requests(2);
    connection.send(frame::continuation(last, "").encode());
    assert_eq!(
        connection.until_closed().unwrap(),
        Some(code::PROTOCOL_ERROR)
    );
    let (acted_on, ..) = connection.seen().goaway.clone().unwrap();
    assert_eq!(acted_on, last);
    swapgate_tests::eventually!(stage.upstream.open_connections() == 0);
}

fn opened_and_reset(count: u32) -> Vec<Frame> {
    let pair = |n| [held(2 * n + 1), frame::reset(2 * n + 1, code::CANCEL)];
    (0..count).flat_map(pair).collect()
}

/// The rows above speak of requests with no body; these of one whose body is on its way.
#[test]
fn bodies_that_end_otherwise() {
    let rows: Vec<Row> = vec![
        row(
            "5.1",
            "a reset within a body",
            [
                begin(1),
                frame::data(1, "abc"),
                frame::reset(1, code::CANCEL),
            ],
        )
        .unforwarded(),
        row(
            "5.1",
            "the end of the body",
            [
                begin(1),
                frame::data(1, "abc"),
                frame::data(1, "").with(flag::END_STREAM),
            ],
        )
        .answer(1, 200),
        row(
            "5.1",
            "two bodies woven into each other",
            [
                begin(1),
                begin(3),
                frame::data(1, "a"),
                frame::data(3, "b"),
                frame::last_data(3, "b"),
                frame::last_data(1, "a"),
            ],
        )
        .answer(1, 200),
        row(
            "5.1",
            "the client leaves within a body",
            [begin(1), frame::data(1, "abc")],
        )
        .finish()
        .closed()
        .unforwarded(),
    ];
    Stage::new().play(&rows);
}
