//! The bytes after the handshake.

use swapgate_tests::process::anonymous_bytes;
use swapgate_tests::{Gate, eventually};

use super::{AGREED, ECHO, OPEN, agreeing, echo, expect_agreed, expect_echo, gateway, opened};

#[test]
fn what_comes_with_the_handshake_is_not_lost() {
    let upstream = swapgate_tests::Upstream::start(|conversation| {
        conversation.receive()?;
        conversation.send(format!("{AGREED}first words"))?;
        echo(conversation)
    });
    let gateway = gateway(&upstream);
    let mut client = gateway.client();
    client.send(format!("{ECHO}early"));
    expect_agreed(&mut client);
    let first = client.read_exact(16).expect("both");
    assert_eq!(String::from_utf8_lossy(&first), "first wordsearly");
    expect_echo(&mut client, "later");
}

#[test]
fn many_megabytes_arrive_whole_in_both_directions() {
    const PIECE: usize = 1_000_003;
    let byte = |at: usize| u8::try_from(at * 31 % 251).unwrap();
    let upstream = agreeing(move |conversation| {
        for _ in 0..16 {
            let piece = conversation.receive_exact(PIECE)?;
            conversation.send(piece)?;
        }
        Ok(())
    });
    let gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    for round in 0..16 {
        let piece: Vec<u8> = (0..PIECE).map(|at| byte(at + round)).collect();
        client.send(&piece);
        assert!(
            client.read_exact(PIECE).expect("all of it") == piece,
            "round {round}"
        );
    }
}

#[test]
fn a_reader_that_stops_stops_the_sender() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = agreeing(move |conversation| {
        held.pass();
        let all = conversation.receive_to_end()?;
        conversation.send(all.len().to_string())
    });
    let gateway = gateway(&upstream);
    let mut client = opened(&gateway);
    let before = anonymous_bytes(gateway.pid());
    let piece = vec![7; 64 * 1024];
    let mut sent = 0_usize;
    let writer = std::thread::spawn(move || {
        for _ in 0..1024 {
            client.send(&piece);
            sent += piece.len();
        }
        client.finish_sending();
        (client, sent)
    });
    gate.wait_for_arrival();
    // The upstream reads nothing; everything in between is full once the gateway has stopped working.
    let mut last = swapgate_tests::process::cpu_ticks(gateway.pid());
    eventually!({
        let now = swapgate_tests::process::cpu_ticks(gateway.pid());
        std::mem::replace(&mut last, now) == now
    });
    let grown = anonymous_bytes(gateway.pid()).saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes more");
    assert!(!writer.is_finished());
    gate.open();
    let (mut client, sent) = writer.join().expect("the writer");
    let told = client.read_to_end().expect("an end");
    assert_eq!(String::from_utf8_lossy(&told), sent.to_string());
    gateway.wait_for_metric(OPEN, 0.0);
}
