//! Request lines and header fields: line ends, names, values.

use crate::corpus::{Forwarded, Stage, forwarded, passes, refused};

#[test]
fn request_lines() {
    Stage::new().play(&[
        passes(
            "an empty line before",
            "RFC 9112 2.2",
            "\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            plain(),
        ),
        passes(
            "several empty lines before",
            "RFC 9112 2.2",
            "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            plain(),
        ),
        passes(
            "a method nobody knows",
            "RFC 9110 9.1",
            "BREW / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            forwarded("BREW / HTTP/1.1").with("host", "a.test"),
        ),
        passes(
            "methods are case-sensitive",
            "RFC 9110 9.1",
            "get / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            forwarded("get / HTTP/1.1").with("host", "a.test"),
        ),
        refused(
            "a method that is no token",
            "RFC 9110 9.1",
            "G(T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "a space before the method",
            "RFC 9112 3",
            " GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "two spaces before the target",
            "RFC 9112 3",
            "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "two spaces before the version",
            "RFC 9112 3",
            "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "tabs instead of spaces",
            "RFC 9112 3",
            "GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "a space in the target",
            "RFC 9112 3.2",
            "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "a space after the version",
            "RFC 9112 3",
            "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "no target",
            "RFC 9112 3",
            "GET HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "TLS on a listener without it",
            "RFC 9112 3",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            &[400],
        ),
        refused("not HTTP at all", "RFC 9112 3", "hello\r\n\r\n", &[400]),
    ]);
}

#[test]
fn line_ends() {
    Stage::new().play(&[
        // RFC 9112, 2.2 lets a recipient take a single LF for a line end; hyper does. What is forwarded has CR LF.
        passes(
            "bare LF as line ends",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\nHost: a.test\n\n",
            plain(),
        ),
        passes(
            "a bare LF among CR LF",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\r\nHost: a.test\nX-A: 1\r\n\r\n",
            plain().with("x-a", "1"),
        ),
        refused(
            "bare CR as line ends",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\rHost: a.test\r\r\n\r\n",
            &[400],
        ),
        refused(
            "CR CR LF",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\r\nHost: a.test\r\r\nX-A: 1\r\n\r\n",
            &[400],
        ),
        refused(
            "a folded line",
            "RFC 9112 5.2",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n 2\r\n\r\n",
            &[400],
        ),
        refused(
            "a line folded with a tab",
            "RFC 9112 5.2",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n\t2\r\n\r\n",
            &[400],
        ),
        refused(
            "white space before the first field",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\r\n Host: a.test\r\nHost: a.test\r\n\r\n",
            &[400],
        ),
        refused(
            "a line of white space",
            "RFC 9112 2.2",
            "GET / HTTP/1.1\r\nHost: a.test\r\n \r\nX-A: 1\r\n\r\n",
            &[400],
        ),
    ]);
}

#[test]
fn names() {
    Stage::new().play(&[
        passes(
            "every kind of byte a name may have",
            "RFC 9110 5.6.2",
            get("X!#$%&'*+-.^`|~9: 1\r\n"),
            plain().with("x!#$%&'*+-.^`|~9", "1"),
        ),
        refused(
            "a space before the colon",
            "RFC 9112 5.1",
            get("X-A : 1\r\n"),
            &[400],
        ),
        refused(
            "a tab before the colon",
            "RFC 9112 5.1",
            get("X-A\t: 1\r\n"),
            &[400],
        ),
        refused(
            "a space within",
            "RFC 9110 5.6.2",
            get("X A: 1\r\n"),
            &[400],
        ),
        refused(
            "a control byte",
            "RFC 9110 5.6.2",
            get("X\x01A: 1\r\n"),
            &[400],
        ),
        refused("a NUL", "RFC 9110 5.6.2", get("X\0A: 1\r\n"), &[400]),
        refused(
            "a letter beyond ASCII",
            "RFC 9110 5.6.2",
            get("X\u{e9}A: 1\r\n"),
            &[400],
        ),
        refused("brackets", "RFC 9110 5.6.2", get("X(A): 1\r\n"), &[400]),
        refused("no name", "RFC 9112 5", get(": 1\r\n"), &[400]),
        refused("no colon", "RFC 9112 5", get("X-A\r\n"), &[400]),
    ]);
}

#[test]
fn values() {
    Stage::new().play(&[
        passes(
            "an empty value",
            "RFC 9110 5.5",
            get("X-A:\r\n"),
            plain().with("x-a", ""),
        ),
        passes(
            "white space around",
            "RFC 9110 5.5",
            get("X-A: \t 1 2 \t\r\n"),
            plain().with("x-a", "1 2"),
        ),
        passes(
            "a tab within",
            "RFC 9110 5.5",
            get("X-A: 1\t2\r\n"),
            plain().with("x-a", "1\t2"),
        ),
        passes(
            "bytes beyond ASCII",
            "RFC 9110 5.5",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: \xe9\xff\r\n\r\n",
            plain().with_bytes("x-a", b"\xe9\xff"),
        ),
        passes(
            "repeated fields keep their order",
            "RFC 9110 5.3",
            get("X-A: 2\r\nX-B: 0\r\nX-A: 1\r\n"),
            plain().with("x-a", "2").with("x-a", "1").with("x-b", "0"),
        ),
        refused("a NUL", "RFC 9110 5.5", get("X-A: 1\x002\r\n"), &[400]),
        refused("a CR", "RFC 9110 5.5", get("X-A: 1\r2\r\n"), &[400]),
        refused(
            "a control byte",
            "RFC 9110 5.5",
            get("X-A: 1\x082\r\n"),
            &[400],
        ),
        refused("a DEL", "RFC 9110 5.5", get("X-A: 1\x7f2\r\n"), &[400]),
    ]);
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

fn plain() -> Forwarded {
    forwarded("GET / HTTP/1.1").with("host", "a.test")
}
