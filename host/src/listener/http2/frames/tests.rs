//! What the account admits and what it ends.

use super::super::frame::tests::frame;
use super::*;

fn settled() -> Frames {
    let mut frames = Frames::new(100, Instant::now());
    let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    first.extend(frame(4, 0, 0, &[]));
    assert_eq!(frames.read(&first, Instant::now), Stand::Open);
    frames
}

#[track_caller]
fn how_many(one: &[u8], most: usize) -> usize {
    let mut frames = settled();
    let start = frames.filled;
    (1..=most)
        .find(|_| frames.read(one, || start) == Stand::Excess)
        .unwrap_or(most)
}

#[test]
fn floods_end_after_a_bounded_number_of_frames() {
    for (name, one, expected) in [
        ("PING", frame(6, 0, 0, &[0; 8]), 981),
        ("SETTINGS", frame(4, 0, 0, &[]), 50),
        ("empty DATA", frame(0, 0, 1, &[]), 99),
        ("RST_STREAM", frame(3, 0, 1, &[0; 4]), 197),
        ("PRIORITY", frame(2, 0, 1, &[0; 5]), 981),
        ("unknown", frame(0x77, 0, 0, &[]), 981),
        ("crumbs", frame(8, 0, 1, &[0, 0, 0, 1]), 327),
        ("empty CONTINUATION", frame(9, 0, 1, &[]), 50),
    ] {
        assert_eq!(how_many(&one, 5000), expected, "{name}");
    }
}

#[test]
fn who_is_in_order_never_comes_near() {
    // Acknowledgements, and bodies that are sent.
    assert_eq!(how_many(&frame(6, 1, 0, &[0; 8]), 5000), 5000);
    assert_eq!(how_many(&frame(0, 0, 1, b"x"), 5000), 5000);
    // gRPC: a PING for each small message, two WINDOW_UPDATE for each large one.
    let mut frames = settled();
    let start = frames.filled;
    let window = frame(8, 0, 1, &[0, 0, 0x40, 0]);
    for _ in 0..5000 {
        frames.wrote(&frame(0, 0, 1, b"small"), |_| ());
        assert_ne!(
            frames.read(&frame(6, 0, 0, &[0; 8]), || start),
            Stand::Excess
        );
        frames.wrote(&frame(0, 0, 1, &[0; 16384]), |_| ());
        for one in [&window, &window, &frame(6, 0, 0, &[0; 8])] {
            assert_ne!(frames.read(one, || start), Stand::Excess);
        }
    }
    // Small messages of many streams, each given back at once, to the stream and to the connection.
    let mut frames = settled();
    for _ in 0..5000 {
        frames.handed_over(1);
        frames.wrote(&frame(0, 0, 1, &[0; 30]), |_| ());
        for stream in [1, 0] {
            let back = frame(8, 0, stream, &[0, 0, 0, 30]);
            assert_ne!(frames.read(&back, || start), Stand::Excess);
        }
    }
    // Two requests that are reset for each that is answered.
    for stream in 0..5000 {
        frames.wrote(&frame(1, 5, stream, b"head"), |_| ());
        frames.wrote(&frame(0, 1, stream, &[0; 100]), |_| ());
        for _ in 0..2 {
            frames.read(&frame(1, 5, stream, b"head"), || start);
            let reset = frame(3, 0, stream, &[0; 4]);
            assert_ne!(frames.read(&reset, || start), Stand::Excess);
        }
    }
}

#[test]
fn windows_that_are_opened_byte_by_byte_are_taxed() {
    let mut frames = settled();
    let start = frames.filled;
    frames.handed_over(1);
    let count = (1..5000).find(|_| {
        let crumb = frames.read(&frame(8, 0, 1, &[0, 0, 0, 1]), || start);
        frames.wrote(&frame(0, 0, 1, b"x"), |_| ());
        crumb == Stand::Excess
    });
    assert_eq!(count, Some(493));
}

#[test]
fn streams_that_a_client_broke_are_told_of() {
    let mut frames = settled();
    let told = std::cell::RefCell::new(Vec::new());
    for code in [0, 1, 2, 7, 8, 9, 11] {
        let reset = frame(3, 0, 1, &u32::to_be_bytes(code));
        for part in reset.chunks(5) {
            frames.wrote(part, |broken| told.borrow_mut().push(broken));
        }
    }
    let mut goodbye = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 1, b'w', b'h', b'y']);
    goodbye.extend(frame(7, 0, 0, &[0; 8]));
    for part in goodbye.chunks(7) {
        frames.wrote(part, |broken| told.borrow_mut().push(broken));
    }
    assert!(frames.is_between_frames());
    let expected = [1, 9, 11].map(|code| Broken::Stream(h2::Reason::from(code)));
    let last = Broken::Connection(h2::Reason::PROTOCOL_ERROR);
    assert_eq!(told.into_inner(), [&expected[..], &[last]].concat());
}

#[test]
fn time_fills_the_account_again() {
    let mut frames = settled();
    let start = frames.filled;
    let ping = frame(6, 0, 0, &[0; 8]);
    for second in 0..600 {
        for _ in 0..A_SECOND {
            let now = start + Duration::from_secs(second);
            assert_ne!(frames.read(&ping, || now), Stand::Excess, "second {second}");
        }
    }
}

#[test]
fn a_head_is_open_until_its_last_byte() {
    let mut frames = settled();
    let mut head = frame(1, 0, 1, b"part");
    let half = head.split_off(10);
    assert_eq!(frames.read(&head, Instant::now), Stand::InHead);
    assert_eq!(
        frames.read(&half, Instant::now),
        Stand::InHead,
        "no END_HEADERS"
    );
    let end = frame(9, 4, 1, b"rest");
    assert_eq!(frames.read(&end, Instant::now), Stand::Open);
    assert_eq!(frames.goodbye()[9..13], [0, 0, 0, 1]);
}
