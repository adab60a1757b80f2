//! Where a body ends: `Content-Length` and `Transfer-Encoding`.

use crate::corpus::{Forwarded, Stage, dropped, forwarded, passes, refused};

#[test]
fn content_length() {
    Stage::new().play(&[
        passes(
            "a length",
            "RFC 9112 6.3",
            post("Content-Length: 3\r\n", "abc"),
            sized("3").body("abc"),
        ),
        passes(
            "a length of nothing",
            "RFC 9112 6.3",
            post("Content-Length: 0\r\n", ""),
            sized("0"),
        ),
        passes(
            "no body and no length",
            "RFC 9110 8.6",
            post("", ""),
            forwarded("POST /f HTTP/1.1").with("host", "a.test"),
        ),
        // hyper makes one field of equal ones, which RFC 9110, 8.6 permits.
        passes(
            "equal lengths",
            "RFC 9110 8.6",
            post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
            sized("3").body("abc"),
        ),
        passes(
            "white space around it",
            "RFC 9110 5.5",
            post("Content-Length: \t 3 \t\r\n", "abc"),
            sized("3").body("abc"),
        ),
        refused(
            "two lengths",
            "RFC 9112 6.3",
            post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
            &[400],
        ),
        refused(
            "two lengths, the first longer",
            "RFC 9112 6.3",
            post("Content-Length: 40\r\nContent-Length: 4\r\n", "abcd"),
            &[400],
        ),
        refused(
            "a list of two lengths",
            "RFC 9112 6.3",
            post("Content-Length: 3, 4\r\n", "abcd"),
            &[400],
        ),
        refused(
            "a list of equal lengths",
            "RFC 9112 6.3",
            post("Content-Length: 3, 3\r\n", "abc"),
            &[400],
        ),
        refused(
            "a negative length",
            "RFC 9110 8.6",
            post("Content-Length: -3\r\n", "abc"),
            &[400],
        ),
        refused(
            "a length with a plus",
            "RFC 9110 8.6",
            post("Content-Length: +3\r\n", "abc"),
            &[400],
        ),
        refused(
            "a hexadecimal length",
            "RFC 9110 8.6",
            post("Content-Length: 0x3\r\n", "abc"),
            &[400],
        ),
        refused(
            "a fraction",
            "RFC 9110 8.6",
            post("Content-Length: 3.0\r\n", "abc"),
            &[400],
        ),
        refused(
            "two numbers",
            "RFC 9110 8.6",
            post("Content-Length: 3 3\r\n", "abc"),
            &[400],
        ),
        refused(
            "an empty length",
            "RFC 9110 8.6",
            post("Content-Length:\r\n", "abc"),
            &[400],
        ),
        refused(
            "a length beyond 64 bits",
            "RFC 9110 8.6",
            post("Content-Length: 18446744073709551619\r\n", "abc"),
            &[400, 413],
        ),
        refused(
            "a length beyond everything",
            "RFC 9110 8.6",
            post("Content-Length: 99999999999999999999999999\r\n", "abc"),
            &[400, 413],
        ),
        dropped(
            "a body shorter than its length",
            "RFC 9112 8",
            post("Content-Length: 5\r\n", "abc"),
        )
        .then_half_close(),
    ]);
}

#[test]
fn transfer_encoding() {
    let one = "3\r\nabc\r\n0\r\n\r\n";
    Stage::new().play(&[
        passes(
            "chunked",
            "RFC 9112 7.1",
            post("Transfer-Encoding: chunked\r\n", one),
            chunked().body(one),
        ),
        passes(
            "in capitals",
            "RFC 9110 10.1.4",
            post("TRANSFER-ENCODING: CHUNKED\r\n", one),
            chunked().body(one),
        ),
        passes(
            "a tab before it",
            "RFC 9110 5.5",
            post("Transfer-Encoding:\tchunked\r\n", one),
            chunked().body(one),
        ),
        refused(
            "twice in one field",
            "RFC 9112 7",
            post("Transfer-Encoding: chunked, chunked\r\n", one),
            &[400],
        ),
        refused(
            "twice in two fields",
            "RFC 9112 7",
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                one,
            ),
            &[400],
        ),
        refused(
            "gzip before",
            "RFC 9112 6.1",
            post("Transfer-Encoding: gzip, chunked\r\n", one),
            &[400, 501],
        ),
        refused(
            "gzip before, in two fields",
            "RFC 9112 6.1",
            post(
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                one,
            ),
            &[400, 501],
        ),
        refused(
            "gzip after",
            "RFC 9112 6.3",
            post("Transfer-Encoding: chunked, gzip\r\n", one),
            &[400],
        ),
        refused(
            "identity",
            "RFC 9112 7",
            post("Transfer-Encoding: identity\r\n", one),
            &[400, 501],
        ),
        refused(
            "identity after",
            "RFC 9112 6.3",
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                one,
            ),
            &[400],
        ),
        refused(
            "identity before",
            "RFC 9112 7",
            post("Transfer-Encoding: identity, chunked\r\n", one),
            &[400, 501],
        ),
        refused(
            "something like chunked",
            "RFC 9112 6.1",
            post("Transfer-Encoding: xchunked\r\n", one),
            &[400, 501],
        ),
        refused(
            "quoted",
            "RFC 9112 7",
            post("Transfer-Encoding: \"chunked\"\r\n", one),
            &[400, 501],
        ),
        refused(
            "with a parameter",
            "RFC 9112 7.1",
            post("Transfer-Encoding: chunked;q=1\r\n", one),
            &[400, 501],
        ),
        refused(
            "an empty list",
            "RFC 9112 6.1",
            post("Transfer-Encoding:\r\n", one),
            &[400],
        ),
        refused(
            "a vertical tab before it",
            "RFC 9110 5.5",
            post("Transfer-Encoding: \x0bchunked\r\n", one),
            &[400],
        ),
        refused(
            "a space before the colon",
            "RFC 9112 5.1",
            post("Transfer-Encoding : chunked\r\n", one),
            &[400],
        ),
        refused(
            "folded",
            "RFC 9112 5.2",
            post("Transfer-Encoding:\r\n chunked\r\n", one),
            &[400],
        ),
        refused(
            "in HTTP/1.0",
            "RFC 9112 6.1",
            format!("POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{one}"),
            &[400],
        ),
    ]);
}

#[test]
fn both_at_once() {
    let one = "3\r\nabc\r\n0\r\n\r\n";
    let both = || chunked().body(one).closes();
    Stage::new().play(&[
        passes(
            "length before",
            "RFC 9112 6.3",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", one),
            both(),
        ),
        passes(
            "length after",
            "RFC 9112 6.3",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", one),
            both(),
        ),
        passes(
            "a length that is right for the coded body",
            "RFC 9112 6.3",
            post("Content-Length: 13\r\nTransfer-Encoding: chunked\r\n", one),
            both(),
        ),
        refused(
            "length, and an encoding nobody knows",
            "RFC 9112 6.3",
            post(
                "Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n",
                "abc",
            ),
            &[400, 501],
        ),
        refused(
            "length, and identity",
            "RFC 9112 6.3",
            post(
                "Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
                "abc",
            ),
            &[400, 501],
        ),
    ]);
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /f HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n{body}")
}

fn sized(length: &'static str) -> Forwarded {
    forwarded("POST /f HTTP/1.1")
        .with("host", "a.test")
        .with("content-length", length)
}

fn chunked() -> Forwarded {
    forwarded("POST /f HTTP/1.1")
        .with("host", "a.test")
        .with("transfer-encoding", "chunked")
}
