//! Answers of upstreams are input as well: malformed ones become 502, or a broken answer where the head is out already.

use swapgate_tests::wire::WireError;
use swapgate_tests::{Response, Upstream};

use crate::answers::{Stage, ask};

/// (what is wrong, where the RFCs say so, the answer)
type Malformed = (&'static str, &'static str, &'static [u8]);

const MALFORMED: [Malformed; 20] = [
    ("both a coding and a length", "RFC 9112 6.3", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    (
        "conflicting lengths",
        "RFC 9112 6.3",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    ),
    (
        "a list of lengths",
        "RFC 9112 6.3",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nabc",
    ),
    (
        "a negative length",
        "RFC 9110 8.6",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
    ),
    (
        "a length with a plus",
        "RFC 9110 8.6",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
    ),
    ("no status line", "RFC 9112 4", b"hello\r\n\r\n"),
    (
        "another protocol",
        "RFC 9112 4",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ),
    (
        "a status that is no number",
        "RFC 9112 4",
        b"HTTP/1.1 2x0 OK\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a status of two digits",
        "RFC 9110 15",
        b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "another version",
        "RFC 9112 2.3",
        b"HTTP/3.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a bare CR in a value",
        "RFC 9110 5.5",
        b"HTTP/1.1 200 OK\r\nx-a: 1\r2\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a NUL in a value",
        "RFC 9110 5.5",
        b"HTTP/1.1 200 OK\r\nx-a: 1\x002\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a space in a name",
        "RFC 9112 5.1",
        b"HTTP/1.1 200 OK\r\nx a: 1\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "no colon",
        "RFC 9112 5",
        b"HTTP/1.1 200 OK\r\nx-a\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a folded line",
        "RFC 9112 5.2",
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok",
    ),
    (
        "a coding nobody asked for",
        "RFC 9112 6.1",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "RFC 9112 7",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "chunked not last",
        "RFC 9112 6.3",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "a coding in HTTP/1.0",
        "RFC 9112 6.1",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "an upgrade nobody asked for",
        "RFC 9110 15.2.2",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n",
    ),
];

#[test]
fn malformed_heads_become_502_and_the_connection_is_not_reused() {
    let mut wrong = Vec::new();
    for (name, section, answer) in MALFORMED {
        let stage = Stage::fixed(answer);
        let mut client = stage.gateway.client();
        for round in 1..=2 {
            let outcome = ask(&mut client, "GET");
            let refused =
                matches!(&outcome, Ok(answer) if answer.status == 502 && is_problem(answer));
            if !refused {
                wrong.push(format!("{name} ({section}): {outcome:?}"));
                break;
            }
            if stage.upstream.connections() != round {
                wrong.push(format!("{name} ({section}): the connection was reused"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{:#?}", wrong);
}

#[test]
fn too_many_fields_become_502() {
    let fields: String = (0..2000)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
    let stage = Stage::new(Upstream::fixed(answer));
    assert_eq!(stage.ask("GET").unwrap().status, 502);
}

#[test]
fn a_head_without_end_becomes_502() {
    let stage = Stage::new(Upstream::start(|conversation| {
        conversation.receive()?;
        loop {
            conversation.send("x".repeat(64 * 1024))?;
        }
    }));
    assert_eq!(stage.ask("GET").unwrap().status, 502);
}

#[test]
fn an_answer_that_ends_within_its_head_becomes_502() {
    for reset in [false, true] {
        for piece in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\ncontent-le"] {
            let stage = Stage::new(Upstream::start(move |conversation| {
                conversation.receive()?;
                conversation.send(piece)?;
                if reset {
                    conversation.reset_at_end();
                }
                Ok(())
            }));
            let answer = stage.ask("GET").unwrap();
            assert!(
                answer.status == 502 && is_problem(&answer),
                "{piece:?}: {answer:?}"
            );
        }
    }
}

/// The head is out, so nothing can be taken back; but what the client sees must not look whole.
#[test]
fn an_answer_that_ends_within_its_body_is_never_whole() {
    const PIECES: [&str; 6] = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf!!",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff",
    ];
    for piece in PIECES {
        let stage = Stage::new(Upstream::start(move |conversation| {
            conversation.receive()?;
            conversation.send(piece)
        }));
        match stage.ask("GET") {
            Err(WireError::Closed(_) | WireError::Reset(_)) => {}
            // When the break is seen before the head went out, it can still be said.
            Ok(answer) if answer.status == 502 => {}
            other => panic!("{piece:?}: {other:?}"),
        }
    }
}

fn is_problem(answer: &Response) -> bool {
    answer.header("content-type").as_deref() == Some("application/problem+json")
        && answer.json()["status"] == u64::from(answer.status)
}
