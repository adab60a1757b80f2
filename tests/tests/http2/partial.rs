//! Requests that come out as HTTP/1.1 in pieces, or that are never whole: the upstream sees no end that was none.

use swapgate_tests::Received;
use swapgate_tests::h2::Frame;
use swapgate_tests::h2::frame::{self, flag};
use swapgate_tests::h2::pack;

use crate::rows::{Sent, begin, begin_with, whole};
use crate::stage::Stage;

/// The same targets in both versions: the same is refused, and the same is forwarded.
#[test]
fn paths_mean_the_same_in_both_versions() {
    const PATHS: [&str; 24] = [
        "/",
        "/a",
        "/a/",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/a/b/..",
        "/..",
        "/../a",
        "/%2e%2e/a",
        "/a/%2e/b",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/%61",
        "/%zz",
        "/%",
        "/a%00b",
        "/a?b/../c",
        "/a?",
        "/a;b=c",
        "/a%20b",
        "//b.test/a",
    ];
    let stage = Stage::new();
    for path in PATHS {
        let mut first = stage.gateway.client();
        first.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let first = first.expect_response().status;
        let received = stage.upstream.take_requests();
        let second = stage.open().get(path).unwrap().status;
        let lines = |received: &[Received]| received.iter().map(Received::line).collect::<Vec<_>>();
        assert_eq!(
            (path, first, lines(&received)),
            (path, second, lines(&stage.upstream.take_requests()))
        );
    }
}

/// The body and its length disagree only after the upstream has seen the head: then it sees no end.
#[test]
fn a_length_that_turns_out_wrong() {
    let ends: [(&str, &str, Frame); 4] = [
        ("too short", "10", frame::last_data(1, "de")),
        ("too long", "4", frame::last_data(1, "defgh")),
        ("too short at the trailers", "10", whole(1, &[("x", "1")])),
        ("a reset", "10", frame::reset(1, 8)),
    ];
    for (what, length, end) in ends {
        let stage = Stage::new();
        let mut connection = stage.open();
        connection.send(
            [
                begin_with(1, &[("content-length", length)]),
                frame::data(1, "abc"),
            ]
            .bytes(),
        );
        swapgate_tests::eventually!(stage.upstream.connections() == 1);
        connection.synchronize().unwrap();
        connection.send(end.encode());
        swapgate_tests::eventually!(
            stage.upstream.open_connections() == 0,
            "the upstream's connection ends: {what}"
        );
        assert_eq!(stage.upstream.take_requests(), [], "{what}");
        for broken in stage.upstream.take_broken() {
            let text = broken.escape_ascii().to_string();
            assert!(
                text.starts_with("POST /case") && !text.ends_with("defg"),
                "{what}: {text}"
            );
        }
        connection.skip_to(3);
        assert_eq!(connection.get("/case").unwrap().status, 200, "{what}");
    }
}

/// The same without a length: the last chunk never comes.
#[test]
fn a_body_that_does_not_end() {
    let stage = Stage::new();
    for end in [
        frame::reset(1, 8),
        frame::headers(1, pack::block(&[("x", "1")])),
        frame::continuation(1, ""),
    ] {
        let mut connection = stage.open();
        let before = stage.upstream.connections();
        connection.send([begin(1), frame::data(1, "abc")].bytes());
        swapgate_tests::eventually!(stage.upstream.connections() == before + 1);
        connection.send(end.encode());
        swapgate_tests::eventually!(stage.upstream.open_connections() == 0);
    }
    // And when the client vanishes.
    let mut connection = stage.open();
    connection.send([begin(1), frame::data(1, "abc")].bytes());
    swapgate_tests::eventually!(stage.upstream.connections() == 4);
    drop(connection);
    swapgate_tests::eventually!(stage.upstream.open_connections() == 0);
    assert_eq!(stage.upstream.take_requests(), []);
    for broken in stage.upstream.take_broken() {
        assert!(!broken.ends_with(b"0\r\n\r\n"), "{}", broken.escape_ascii());
    }
}

/// Requests woven into each other come out one by one, each on a connection of its own.
#[test]
fn woven_requests_come_out_whole() {
    let stage = Stage::new();
    let mut connection = stage.open();
    let streams: Vec<u32> = (0..10).map(|n| 2 * n + 1).collect();
    let mut bytes = Vec::new();
    for stream in &streams {
        bytes.extend(
            Frame {
                stream: *stream,
                ..begin(1)
            }
            .encode(),
        );
    }
    for piece in 0..5 {
        for stream in &streams {
            bytes.extend(frame::data(*stream, format!("{stream}.{piece};")).encode());
        }
    }
    for stream in &streams {
        bytes.extend(frame::data(*stream, "").with(flag::END_STREAM).encode());
    }
    connection.send(bytes);
    for stream in streams {
        let body: String = (0..5).map(|piece| format!("{stream}.{piece};")).collect();
        assert_eq!(connection.answer(stream).unwrap().json()["body"], body);
    }
}
