//! What a request is made of: heads, bodies, trailers, lengths (RFC 9113, 8.1).

use swapgate_tests::h2::connection::request;
use swapgate_tests::h2::frame::{self, code, flag};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{Row, ask, begin, begin_with, row, whole, with};
use crate::stage::Stage;

/// Fields after the body.
fn trailers(stream: u32, fields: &[(&str, &str)]) -> Frame {
    whole(stream, fields)
}

#[test]
fn framing() {
    let plain = || trailers(1, &[("x-sum", "1")]);
    let refused = |name, frames: Vec<Frame>| {
        row("8.1", name, frames)
            .stream(1, code::PROTOCOL_ERROR)
            .unforwarded()
    };
    let split = |frame: Frame| {
        let (first, second) = frame.payload.split_at(7);
        [
            Frame {
                payload: first.to_vec(),
                ..frame.clone()
            }
            .without(flag::END_HEADERS),
            frame::continuation(frame.stream, second),
        ]
    };
    let [first, second] = split(ask(1));
    let head = whole(1, &request("HEAD", "/case"));
    Stage::new().play(&[
        row("8.1", "a head alone", ask(1)).answer(1, 200),
        row(
            "8.1",
            "a head and a body",
            [begin(1), frame::last_data(1, "abc")],
        )
        .answer(1, 200),
        row(
            "8.1",
            "a body in many pieces",
            [
                begin(1),
                frame::data(1, "a"),
                frame::data(1, "b"),
                frame::last_data(1, "c"),
            ],
        )
        .answer(1, 200),
        row("8.1", "an empty body", [begin(1), frame::last_data(1, "")]).answer(1, 200),
        row(
            "8.1",
            "trailers",
            [begin(1), frame::data(1, "abc"), plain()],
        )
        .answer(1, 200),
        row("8.1", "trailers and no body", [begin(1), plain()]).answer(1, 200),
        row(
            "8.1",
            "no fields in the trailers",
            [begin(1), frame::data(1, "abc"), trailers(1, &[])],
        )
        .answer(1, 200),
        row(
            "8.1",
            "the end of the stream with the first of two pieces of a head",
            [first, second],
        )
        .answer(1, 200),
        row("8.1", "HEAD", head).answer(1, 200),
        refused(
            "trailers without an end",
            vec![
                begin(1),
                frame::data(1, "abc"),
                plain().without(flag::END_STREAM),
            ],
        ),
        refused("a second head", vec![begin(1), begin(1)]),
        row(
            "8.1",
            "DATA after trailers",
            [begin(1), plain(), frame::data(1, "x")],
        )
        .connection(code::PROTOCOL_ERROR)
        .rather(
            "a stream error STREAM_CLOSED",
            crate::rows::WHOLE_CONNECTION,
        ),
        row("8.1", "trailers twice", [begin(1), plain(), plain()])
            .connection(code::PROTOCOL_ERROR)
            .rather(
                "a stream error STREAM_CLOSED",
                crate::rows::WHOLE_CONNECTION,
            ),
    ]);
}

#[test]
fn pseudo_fields_in_trailers() {
    let rows: Vec<Row> = [
        (":method", "GET"),
        (":path", "/other"),
        (":authority", "b.test"),
        (":scheme", "http"),
        (":status", "200"),
    ]
    .into_iter()
    .map(|field| {
        row(
            "8.1",
            format!("{} in the trailers", field.0),
            [begin(1), frame::data(1, "abc"), trailers(1, &[field])],
        )
        .answer(1, 200)
        .rather(
            "a stream error",
            "h2 drops them, so that nobody acts on them and they reach nobody",
        )
    })
    .collect();
    Stage::new().play(&rows);
}

#[test]
fn lengths() {
    let said = |length: &'static str| begin_with(1, &[("content-length", length)]);
    let refused = |name: &str, frames: Vec<Frame>| {
        row("8.1.1", name, frames)
            .stream(1, code::PROTOCOL_ERROR)
            .unforwarded()
    };
    let syntax = |length: &'static str| {
        refused(
            &format!("the length `{length}`"),
            vec![said(length), frame::last_data(1, "abc")],
        )
    };
    Stage::new().play(&[
        row(
            "8.1.1",
            "as long as it says",
            [said("3"), frame::last_data(1, "abc")],
        )
        .answer(1, 200),
        row(
            "8.1.1",
            "in two pieces",
            [said("3"), frame::data(1, "ab"), frame::last_data(1, "c")],
        )
        .answer(1, 200),
        row(
            "8.1.1",
            "with an empty end",
            [said("3"), frame::data(1, "abc"), frame::last_data(1, "")],
        )
        .answer(1, 200),
        row(
            "8.1.1",
            "padding does not count",
            [said("3"), frame::last_data(1, "abc").padded(50)],
        )
        .answer(1, 200),
        row(
            "8.1.1",
            "and trailers",
            [said("3"), frame::data(1, "abc"), trailers(1, &[("x", "1")])],
        )
        .answer(1, 200),
        row("8.1.1", "nothing", [said("0"), frame::last_data(1, "")]).answer(1, 200),
        row(
            "8.1.1",
            "nothing, with the head",
            with(1, &[("content-length", "0")]),
        )
        .answer(1, 200),
        row(
            "8.1.1",
            "equal lengths",
            [
                begin_with(1, &[("content-length", "3"), ("content-length", "3")]),
                frame::last_data(1, "abc"),
            ],
        )
        .answer(1, 200),
        refused("too short", vec![said("4"), frame::last_data(1, "abc")]),
        refused("too long", vec![said("2"), frame::last_data(1, "abc")]),
        refused(
            "too long in its second piece",
            vec![said("3"), frame::data(1, "abc"), frame::last_data(1, "d")],
        ),
        refused(
            "too short at an empty end",
            vec![said("3"), frame::data(1, "ab"), frame::last_data(1, "")],
        ),
        refused(
            "too short at the trailers",
            vec![said("3"), frame::data(1, "ab"), trailers(1, &[("x", "1")])],
        ),
        refused(
            "a length and no body",
            vec![with(1, &[("content-length", "3")])],
        ),
        refused(
            "a body where there is none",
            vec![said("0"), frame::last_data(1, "a")],
        ),
        refused(
            "two lengths",
            vec![
                begin_with(1, &[("content-length", "3"), ("content-length", "4")]),
                frame::last_data(1, "abc"),
            ],
        ),
        refused(
            "two lengths, the second right",
            vec![
                begin_with(1, &[("content-length", "40"), ("content-length", "3")]),
                frame::last_data(1, "abc"),
            ],
        ),
        syntax("3, 3"),
        syntax("+3"),
        syntax("-3"),
        syntax(" 3"),
        syntax("3 "),
        syntax("0x3"),
        syntax("3.0"),
        syntax("18446744073709551619"),
        syntax("three"),
    ]);
    let post = pack::block(&request("POST", "/case"));
    let empty = [post, pack::block(&[("content-length", "")])].concat();
    Stage::new().play(&[row(
        "8.1.1",
        "the length ``",
        [frame::headers(1, empty), frame::last_data(1, "abc")],
    )
    .stream(1, code::PROTOCOL_ERROR)
    .unforwarded()]);
}

/// An answer that is whole before the request is: the rest of the request is not wanted, which is said (RFC 9113, 8.1).
#[test]
fn an_answer_before_the_body() {
    let stage = Stage::with("limits: {body_bytes: 10}");
    let mut connection = stage.open();
    let large = [
        pack::block(&request("POST", "/case")),
        pack::block(&[("content-length", "100")]),
    ]
    .concat();
    connection.send(frame::headers(1, large).encode());
    connection.until(|seen| seen.answer(1).ended).unwrap();
    assert_eq!(connection.seen().answer(1).status, 413);
    connection
        .until(|seen| seen.answer(1).reset.is_some())
        .unwrap();
    assert_eq!(connection.seen().answer(1).reset, Some(code::NO_ERROR));
    // What the client had sent by then harms nobody.
    connection.send(frame::data(1, "x".repeat(50)).encode());
    connection.skip_to(3);
    assert_eq!(connection.get("/case").unwrap().status, 200);
    assert_eq!(stage.upstream.take_requests().len(), 1);
}

/// hyper has no way to send 100 over HTTP/2. RFC 9110, 10.1.1 forbids clients to wait for it without an end, so the body
/// comes all the same; and the expectation, which is met, goes no further.
#[test]
fn expectations_and_head() {
    let stage = Stage::new();
    let mut connection = stage.open();
    let expecting = [
        pack::block(&request("POST", "/case")),
        pack::block(&[("expect", "100-continue")]),
    ]
    .concat();
    connection.send(frame::headers(1, expecting).encode());
    connection.synchronize().unwrap();
    connection.send(frame::last_data(1, "abc").encode());
    let answer = connection.answer(1).unwrap();
    assert_eq!(
        (answer.status, answer.json()["body"].as_str()),
        (200, Some("abc"))
    );
    let received = stage.upstream.take_requests();
    assert_eq!(received[0].headers.get("expect"), None);
    connection.skip_to(3);
    let stream = connection.ask(&request("HEAD", "/bytes/1000"), None);
    let answer = connection.answer(stream).unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let answer = connection.get("/bytes/1000").unwrap();
    assert_eq!(
        answer.headers.get("content-length").as_deref(),
        Some("1000")
    );
}
