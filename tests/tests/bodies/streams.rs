//! Bodies without an end in sight: nothing is held that need not be.

use std::fs;

use swapgate_tests::{Gate, Gateway, Upstream};

use crate::world::{NONE, OBSERVE, TRANSFORM, counted, gateway, plugin};

const PIECE: usize = 1 << 16;
const PIECES: usize = 256 * 16;

/// The most memory a gateway ever had.
fn peak(gateway: &Gateway) -> u64 {
    let file = format!("/proc/{}/status", gateway.pid().as_raw_nonzero());
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// The upstream sends the second event only when the client has read the first.
#[test]
fn an_event_is_passed_on_before_the_next_exists() {
    let gate = Gate::new();
    let read = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        conversation.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        conversation.send("e\r\ndata: secret\n\n\r\n")?;
        read.pass();
        conversation.send("b\r\ndata: two\n\n\r\n0\r\n\r\n")
    });
    let gateway = gateway(&upstream, "1MiB", &[plugin("replace", NONE, TRANSFORM)]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    client.read_head().unwrap();
    assert_eq!(client.read_chunk().unwrap(), b"data: [gone]!\n\n");
    gate.open();
    assert_eq!(client.read_chunk().unwrap(), b"data: two\n\n");
    assert_eq!(client.read_chunk().unwrap(), b"");
}

#[test]
fn a_large_upload_through_an_observer_takes_no_memory() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        let mut length = 0;
        loop {
            match conversation.receive_chunk()?.len() {
                0 => break,
                more => length += more,
            }
        }
        let text = length.to_string();
        conversation.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        ))
    });
    let gateway = gateway(&upstream, "1GiB", &[plugin("watch", OBSERVE, NONE)]);
    let before = peak(&gateway);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = [format!("{PIECE:x}\r\n").as_bytes(), &[b'x'; PIECE], b"\r\n"].concat();
    for _ in 0..PIECES {
        client.send(&piece);
    }
    let answer = client.send("0\r\n\r\n").expect_response();
    assert_eq!(answer.text(), (PIECE * PIECES).to_string());
    counted(&gateway, "ends", 1.0);
    let grown = peak(&gateway).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[test]
fn a_large_answer_that_is_changed_takes_no_memory() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let piece = [format!("{PIECE:x}\r\n").as_bytes(), &[b'x'; PIECE], b"\r\n"].concat();
        for _ in 0..PIECES / 8 {
            conversation.send(&piece)?;
        }
        conversation.send("0\r\n\r\n")
    });
    let gateway = gateway(&upstream, "1MiB", &[plugin("own", NONE, TRANSFORM)]);
    let before = peak(&gateway);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    client.read_head().unwrap();
    let mut length = 0;
    loop {
        let piece = client.read_chunk().unwrap();
        if piece.is_empty() {
            break;
        }
        assert!(piece.iter().all(|byte| *byte == b'X'));
        length += piece.len();
    }
    assert_eq!(length, PIECE * PIECES / 8);
    let grown = peak(&gateway).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    counted(&gateway, "ends", 1.0);
}
