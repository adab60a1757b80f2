//! The chunked coding: read strictly, written anew.

use crate::corpus::{Case, Forwarded, Stage, dropped, forwarded, passes, refused};

#[test]
fn chunks() {
    let plain = || chunked().body("3\r\nabc\r\n0\r\n\r\n");
    Stage::new().play(&[
        passes(
            "a size in capital digits",
            "RFC 9112 7.1",
            coded("A\r\n0123456789\r\n0\r\n\r\n"),
            chunked().body("A\r\n0123456789\r\n0\r\n\r\n"),
        ),
        passes(
            "a size in small digits",
            "RFC 9112 7.1",
            coded("a\r\n0123456789\r\n0\r\n\r\n"),
            chunked().body("A\r\n0123456789\r\n0\r\n\r\n"),
        ),
        passes(
            "zeros before the size",
            "RFC 9112 7.1",
            coded("0003\r\nabc\r\n000\r\n\r\n"),
            plain(),
        ),
        passes(
            "an extension",
            "RFC 9112 7.1.1",
            coded("3;name=value\r\nabc\r\n0\r\n\r\n"),
            plain(),
        ),
        passes(
            "a trailer, which is dropped",
            "RFC 9112 7.1.2",
            coded("3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"),
            plain().closes(),
        ),
        passes(
            "a trailer that would frame",
            "RFC 9110 6.5.1",
            coded("3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n"),
            plain().closes(),
        ),
        bad_chunk("a letter after the size", "3x\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("a plus before the size", "+3\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("a minus before the size", "-3\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("no size", "\r\nabc\r\n0\r\n\r\n"),
        bad_chunk(
            "a size beyond 64 bits",
            "10000000000000003\r\nabc\r\n0\r\n\r\n",
        ),
        bad_chunk("data longer than the size", "3\r\nabcd\r\n0\r\n\r\n"),
        bad_chunk("data shorter than the size", "5\r\nabc\r\n0\r\n\r\n"),
        bad_chunk("a bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
        bad_chunk("a bare CR after the size", "3\rabc\r\n0\r\n\r\n"),
        bad_chunk("a bare LF after the data", "3\r\nabc\n0\r\n\r\n"),
        bad_chunk("an extension ended by a bare LF", "3;x\nabc\r\n0\r\n\r\n"),
        bad_chunk("CR CR LF after the data", "3\r\nabc\r\r\n0\r\n\r\n"),
        dropped("no last chunk", "RFC 9112 8", coded("3\r\nabc\r\n")).then_half_close(),
        dropped("a chunk cut short", "RFC 9112 8", coded("9\r\nabc")).then_half_close(),
        dropped(
            "trailers cut short",
            "RFC 9112 8",
            coded("3\r\nabc\r\n0\r\nX-"),
        )
        .then_half_close(),
    ]);
}

/// Refused with 400. Nothing whole may have been forwarded, whether or not the head was when the chunk came.
fn bad_chunk(name: &'static str, body: &'static str) -> Case {
    refused(name, "RFC 9112 7.1", coded(body), &[400])
}

fn coded(body: &str) -> String {
    format!("POST /f HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn chunked() -> Forwarded {
    forwarded("POST /f HTTP/1.1")
        .with("host", "a.test")
        .with("transfer-encoding", "chunked")
}
