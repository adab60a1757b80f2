//! Which fields a request may have (RFC 9113, 8.2).
//!
//! What cannot be a field at all ends the connection: h2 reads fields while it decompresses them, and then cannot go on. That is
//! admissible (5.4), and whoever sends such bytes means no good.

use swapgate_tests::h2::frame::{self, code};
use swapgate_tests::h2::{Frame, pack};

use crate::rows::{Row, WHOLE_CONNECTION, begin, row, with};
use crate::stage::Stage;

/// What no name may hold.
const NAMES: [(&str, &[u8]); 16] = [
    ("an upper-case letter", b"X-upper"),
    ("one upper-case letter at the end", b"x-uppeR"),
    ("a space", b"x y"),
    ("a space at the end", b"x "),
    ("a space at the beginning", b" x"),
    ("a tab", b"x\ty"),
    ("a colon", b"x:y"),
    ("a colon at the end", b"x:"),
    ("CR", b"x\ry"),
    ("LF", b"x\ny"),
    ("CR LF and a field", b"x: 1\r\ny"),
    ("NUL", b"x\0y"),
    ("DEL", b"x\x7fy"),
    ("a byte over 127", b"x\xc3\xa9"),
    ("a comma", b"x,y"),
    ("nothing", b""),
];

/// What no value may hold.
const VALUES: [(&str, &[u8]); 9] = [
    ("CR", b"a\rb"),
    ("LF", b"a\nb"),
    ("NUL", b"a\0b"),
    ("CR LF and a field", b"a\r\ntransfer-encoding: chunked"),
    (
        "a whole request",
        b"a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a.test\r\n\r\n",
    ),
    ("LF at the end", b"a\n"),
    ("CR at the beginning", b"\ra"),
    ("ESC", b"a\x1bb"),
    ("DEL", b"a\x7fb"),
];

fn headers_and_trailers(section: &'static str, name: &str, field: (&str, &[u8])) -> [Row; 2] {
    let raw = |fields: &[(&[u8], &[u8])]| pack::block(fields);
    let fields = [(field.0.as_bytes(), field.1)];
    both(section, name, &raw(&fields))
}

fn both(section: &'static str, name: &str, block: &[u8]) -> [Row; 2] {
    let mut head = with(1, &[] as &[(&str, &str)]);
    head.payload.extend_from_slice(block);
    let trailers = frame::headers(1, block).with(frame::flag::END_STREAM);
    [
        row(section, format!("{name}, in the head"), head),
        row(
            section,
            format!("{name}, in the trailers"),
            [begin(1), frame::data(1, "abc"), trailers],
        ),
    ]
}

#[test]
fn names_and_values_that_cannot_be() {
    let mut rows: Vec<Row> = Vec::new();
    for (what, name) in NAMES {
        rows.extend(both(
            "8.2.1",
            &format!("a name with {what}"),
            &pack::block(&[(name, b"1")]),
        ));
    }
    for (what, value) in VALUES {
        rows.extend(headers_and_trailers(
            "8.2.1",
            &format!("a value with {what}"),
            ("x", value),
        ));
    }
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| {
            row.connection(code::PROTOCOL_ERROR)
                .rather("a stream error", WHOLE_CONNECTION)
                .unforwarded()
        })
        .collect();
    Stage::new().play(&rows);
}

/// h2 lets it through, and HTTP/1.1 has no way to say it: its parsers strip what stands around a value. So the gateway would
/// judge another value than the upstream reads.
#[test]
fn white_space_around_values() {
    let stage = Stage::new();
    let mut rows: Vec<Row> = Vec::new();
    for (what, value) in [
        ("a space before it", &b" v"[..]),
        ("a space after it", b"v "),
        ("a tab before it", b"\tv"),
        ("a tab after it", b"v\t"),
        ("only a space", b" "),
    ] {
        let [head, trailers] =
            headers_and_trailers("8.2.1", &format!("a value with {what}"), ("x", value));
        rows.push(
            head.answer(1, 400)
                .rather("a stream error", "RFC 9113, 8.1.1 permits an answer first")
                .unforwarded(),
        );
        rows.push(trailers.answer(1, 200).rather(
            "a stream error",
            "trailers steer nothing, and HTTP/1.1 has no white space there",
        ));
    }
    stage.play(&rows);
    stage.play(&[
        row("8.2.1", "an empty value", with(1, &[("x", "")])).answer(1, 200),
        row(
            "8.2.1",
            "white space within a value",
            with(1, &[("x", "a \t b")]),
        )
        .answer(1, 200),
        row(
            "8.2.1",
            "bytes over 127 in a value",
            with(1, &[("x", b"\xff\x80")]),
        )
        .answer(1, 200),
        row(
            "8.2.1",
            "every character a name may have",
            with(1, &[("x!#$%&'*+-.^_`|~09az", "1")]),
        )
        .answer(1, 200),
    ]);
}

#[test]
fn fields_of_connections() {
    let refused = |field: (&'static str, &'static str)| {
        let fields = headers_and_trailers(
            "8.2.2",
            &format!("{}: {}", field.0, field.1),
            (field.0, field.1.as_bytes()),
        );
        fields.map(|row| row.stream(1, code::PROTOCOL_ERROR).unforwarded())
    };
    let fields = [
        ("connection", "close"),
        ("connection", "x-secret"),
        ("connection", ""),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
        ("te", ""),
    ];
    let rows: Vec<Row> = fields.into_iter().flat_map(refused).collect();
    let stage = Stage::new();
    stage.play(&rows);
    stage.play(&[
        row("8.2.2", "te: trailers", with(1, &[("te", "trailers")])).answer(1, 200),
        row(
            "8.2.2",
            "te: trailers, twice",
            with(1, &[("te", "trailers"), ("te", "trailers")]),
        )
        .answer(1, 200),
        row("8.2.2", "te: Trailers", with(1, &[("te", "Trailers")]))
            .stream(1, code::PROTOCOL_ERROR)
            .rather(
                "nothing",
                "no client is known to write it so, and RFC 9113 names the value in lower case",
            )
            .unforwarded(),
        row("8.2.2", "a length and an encoding", {
            let mut head: Frame = begin(1);
            head.payload.extend(pack::block(&[
                ("content-length", "3"),
                ("transfer-encoding", "chunked"),
            ]));
            [head, frame::last_data(1, "abc")]
        })
        .stream(1, code::PROTOCOL_ERROR)
        .unforwarded(),
    ]);
}
