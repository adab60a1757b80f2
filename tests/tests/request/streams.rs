//! Bodies far larger than any buffer, in both directions at once and in bounded memory.

use std::time::{Duration, Instant};

use swapgate_tests::process::anonymous_bytes;
use swapgate_tests::wire::WireError;
use swapgate_tests::{Gate, Gateway, Upstream, eventually};

const MIB: usize = 1 << 20;
const PIECE: usize = 1 << 16;
const PIECES: usize = 64 * MIB / PIECE;

/// What a gateway may grow by for a few buffers, with room for the allocator.
const GROWTH: u64 = 12 << 20;

fn before(upstream: &Upstream, timeouts: &str) -> Gateway {
    Gateway::with(&format!(
        "\
workers: 1
limits: {{body_bytes: 1GiB}}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: s, upstream: up, timeouts: {{{timeouts}}}}}]
routes: [{{name: all, service: s}}]
"
    ))
    .set("up", upstream.address())
    .start()
}

fn chunk(fill: u8) -> Vec<u8> {
    [format!("{PIECE:x}\r\n").as_bytes(), &[fill; PIECE], b"\r\n"].concat()
}

#[test]
fn both_ways_at_once() {
    let upstream = Upstream::start(|conversation| {
        conversation.receive_head()?;
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let piece = conversation.receive_chunk()?;
            conversation.send(format!("{:x}\r\n", piece.len()))?;
            conversation.send(&piece)?;
            conversation.send("\r\n")?;
            if piece.is_empty() {
                return Ok(());
            }
        }
    });
    let gateway = before(&upstream, "");
    let memory = anonymous_bytes(gateway.pid());
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client
        .read_head()
        .expect("the head, long before the end of the body");
    for number in 0..PIECES {
        let fill = u8::try_from(number % 251).unwrap();
        client.send(chunk(fill));
        let mut left = PIECE;
        while left > 0 {
            let piece = client.read_chunk().unwrap();
            assert!(!piece.is_empty() && piece.iter().all(|byte| *byte == fill));
            left -= piece.len();
        }
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_chunk().unwrap(), b"");
    let grown = anonymous_bytes(gateway.pid()).saturating_sub(memory);
    assert!(grown < GROWTH, "{grown} bytes more");
}

#[test]
fn each_way_as_fast_as_it_goes() {
    let upstream = Upstream::start(|conversation| {
        loop {
            conversation.receive_head()?;
            let mut length = 0;
            loop {
                match conversation.receive_chunk()?.len() {
                    0 => break,
                    more => length += more,
                }
            }
            conversation.send(format!(
                "HTTP/1.1 200 OK\r\nx-length: {length}\r\ncontent-length: {length}\r\n\r\n"
            ))?;
            for _ in 0..length / PIECE {
                conversation.send(vec![b'y'; PIECE])?;
            }
        }
    });
    let gateway = before(&upstream, "");
    let memory = anonymous_bytes(gateway.pid());
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let piece = chunk(b'x');
        for _ in 0..PIECES {
            client.send(&piece);
        }
        let answer = client.send("0\r\n\r\n").expect_response();
        assert_eq!(answer.header("x-length"), Some((64 * MIB).to_string()));
        assert_eq!(answer.body.len(), 64 * MIB);
        assert!(answer.body.iter().all(|byte| *byte == b'y'));
    }
    // The second request may come before the task of the connection has seen the end of the first answer.
    assert!(upstream.connections() <= 2);
    let grown = anonymous_bytes(gateway.pid()).saturating_sub(memory);
    assert!(grown < GROWTH, "{grown} bytes more");
}

/// An upstream that does not read holds the client back, until its time is over.
#[test]
fn an_upstream_that_does_not_read_holds_the_client_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |conversation| {
        conversation.receive_head()?;
        held.pass();
        Ok(())
    });
    let gateway = before(&upstream, "response: 500ms");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000000\r\n\r\n");
    let mut sent = 0;
    while client.try_send([b'x'; PIECE]).is_ok() {
        sent += PIECE;
        assert!(sent < 64 * MIB, "somebody keeps what nobody reads");
    }
    assert!(anonymous_bytes(gateway.pid()) < 64 << 20);
    gateway.wait_for_log("did not answer within 500ms");
    // The answer may be lost to a reset, for the client was still sending; but its connection is over.
    let end = client.read_to_end();
    assert!(!matches!(end, Err(WireError::TimedOut(_))), "{end:?}");
    gate.open();
}

/// The time for an answer begins when the request is sent, however long that took.
#[test]
fn a_body_may_take_longer_than_its_answer() {
    let upstream = Upstream::echo();
    let gateway = before(&upstream, "response: 300ms, idle: 300ms");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000\r\n\r\n");
    let begin = Instant::now();
    for piece in 1..=20 {
        // Steadily, for more than thrice the time of an answer.
        eventually!(begin.elapsed() >= piece * Duration::from_millis(50));
        client.send("x".repeat(if piece == 20 { 99 } else { 100 }));
    }
    let answer = client.send("y").expect_response();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["body"].as_str().map(str::len), Some(2000));
}
