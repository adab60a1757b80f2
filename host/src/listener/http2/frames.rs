//! A guard against floods of frames.
//!
//! h2 holds the memory of a connection, counts streams that are reset before they are looked at, and ends a head that
//! goes on for too long. What it does not count are frames that are well-formed, cost work and ask for nothing: PING,
//! SETTINGS, PRIORITY, WINDOW_UPDATE, DATA without data, RST_STREAM after each request. Such a connection can keep a core busy
//! while no request limit sees it. So the heads of frames are read as they pass by, nothing is copied, and what they
//! cost is set against what the connection does that is useful.
//!
//! An account, in points: it holds at most [`POINTS`] (more where more streams are admitted), begins full, and gets
//! [`A_SECOND`] for each second that goes by. Each frame that asks for nothing takes some, each answer and each piece of one
//! gives some. Where it is empty the connection ends with `ENHANCE_YOUR_CALM`. Why these numbers admit everybody in order:
//!
//! - Clients send at most one PING for each DATA frame they receive (gRPC measures its bandwidth so); each DATA frame gives
//!   ten (Envoy admits as many), a very small one the one that a PING takes.
//! - They send at most two WINDOW_UPDATE for what one DATA frame brought, one for the stream and one for the connection, and
//!   some do so at once and for the smallest message (HAProxy). So two are free for each piece of an answer that was
//!   handed over. Pieces count and not frames: a client that opens its window byte by byte gets a frame for each byte, but
//!   no more pieces than the upstream sent.
//! - A browser opens with some PRIORITY and WINDOW_UPDATE frames, and sends up to two more with each request: three
//!   hundred for the hundred streams that it may have waiting, before any was answered.
//! - A page that is left resets all of its streams at once: five each, five hundred for a hundred; a client may go on to
//!   reset two requests for each one that it lets be answered.
//! - Nobody sends SETTINGS more than a few times, and nobody in order sends empty DATA frames that are not the last.
//!
//! Time is looked at only when the account is empty: a connection in order never asks for it.

use std::time::{Duration, Instant};

/// What the account holds at the least, and begins with.
const POINTS: u32 = 1000;
/// What it holds for each stream that may be open, if that is more.
const FOR_EACH_STREAM: u32 = 10;
/// What it gets for each second.
const A_SECOND: u32 = 100;

/// Length of the head of a frame (RFC 9113, 4.1).
const HEAD: usize = 9;
/// How much is read of a payload: all of WINDOW_UPDATE and RST_STREAM, of GOAWAY what stands before its text.
const NUMBER: usize = 4;
const NUMBERS: usize = 2 * NUMBER;
/// A window that is opened by less than this makes answers go out in crumbs.
const CRUMB: u32 = 64;
/// How often a client gives a window back for one piece of an answer: that of the stream and that of the connection.
const FREE_FOR_A_PIECE: u32 = 2;
/// A DATA frame with padding and no more than this may be nothing but padding.
const PADDED: u32 = 256;

/// The types of frames (RFC 9113, 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// Of SETTINGS and PING: an answer to one of ours.
const ACK: u8 = 1;
/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION.
const END_HEADERS: u8 = 4;
/// Of DATA and HEADERS.
const PAD: u8 = 8;

/// A frame, as its head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    len: u32,
    kind: u8,
    flags: u8,
    stream: u32,
    /// Of WINDOW_UPDATE.
    increment: u32,
    /// Of RST_STREAM and GOAWAY.
    code: u32,
}

/// One direction of a connection, cut into frames.
#[derive(Debug)]
struct Cut {
    /// Bytes until the next head begins: of a preface, then of payloads.
    skip: usize,
    head: [u8; HEAD + NUMBERS],
    have: usize,
    last: Option<(u8, u8)>,
}

impl Cut {
    /// `skip` bytes come before the first frame.
    const fn new(skip: usize) -> Self {
        Self {
            skip,
            head: [0; HEAD + NUMBERS],
            have: 0,
            last: None,
        }
    }

    /// Whether the last byte was the last of a frame.
    const fn is_between(&self) -> bool {
        self.skip == 0 && self.have == 0
    }

    fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = self.wanted();
            let taken = (wanted - self.have).min(bytes.len());
            let place = self.head.get_mut(self.have..self.have + taken);
            if let (Some(place), Some(head)) = (place, bytes.get(..taken)) {
                place.copy_from_slice(head);
            }
            self.have += taken;
            bytes = bytes.get(taken..).unwrap_or_default();
            // Again: once the head is there, it says whether a payload is read as well.
            if self.have == self.wanted() && self.have > 0 {
                see(self.frame());
            }
        }
    }

    /// How much of the frame is read: its head, and what a window is opened by or something is ended with.
    const fn wanted(&self) -> usize {
        let [a, b, c, kind, ..] = self.head;
        let len = u32::from_be_bytes([0, a, b, c]);
        match kind {
            _ if self.have < HEAD => HEAD,
            kind::WINDOW_UPDATE | kind::RST_STREAM if len == 4 => HEAD + NUMBER,
            kind::GOAWAY if len >= 8 => HEAD + NUMBERS,
            _ => HEAD,
        }
    }

    /// The frame whose head is complete; the next one begins after its payload.
    fn frame(&mut self) -> Frame {
        let [
            a,
            b,
            c,
            kind,
            flags,
            s1,
            s2,
            s3,
            s4,
            n1,
            n2,
            n3,
            n4,
            last @ ..,
        ] = self.head;
        let len = u32::from_be_bytes([0, a, b, c]);
        let read = self.have - HEAD;
        self.skip = (len as usize).saturating_sub(read);
        self.have = 0;
        self.last = Some((kind, flags));
        Frame {
            len,
            kind,
            flags,
            stream: u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff,
            increment: u32::from_be_bytes([n1, n2, n3, n4]) & 0x7fff_ffff,
            code: match kind {
                kind::GOAWAY => u32::from_be_bytes(last),
                _ => u32::from_be_bytes([n1, n2, n3, n4]),
            },
        }
    }
}

/// What was ended because its client broke a rule, and how that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) enum Broken {
    /// One stream.
    Stream(h2::Reason),
    /// The connection.
    Connection(h2::Reason),
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) enum Stand {
    /// It has not said yet how it wants to be spoken to.
    Beginning,
    /// In a head: no other stream goes on before it is complete.
    InHead,
    /// Between two frames, or in one that is no head.
    Open,
    /// It has overdone it.
    Excess,
}

/// Reads the heads of frames in both directions, and keeps the account.
#[derive(Debug)]
pub(in crate::listener) struct Frames {
    inward: Cut,
    outward: Cut,
    most: u32,
    points: u32,
    filled: Instant,
    /// WINDOW_UPDATE that may still come for what the client was given.
    free: u32,
    /// The newest stream the client has opened.
    newest: u32,
    settled: bool,
    excess: bool,
}

impl Frames {
    /// Of a connection whose first bytes come next, and that admits so many streams.
    pub(in crate::listener) fn new(streams: u32, now: Instant) -> Self {
        let most = POINTS.max(streams.saturating_mul(FOR_EACH_STREAM));
        Self {
            inward: Cut::new(24),
            outward: Cut::new(0),
            most,
            points: most,
            filled: now,
            free: 0,
            newest: 0,
            settled: false,
            excess: false,
        }
    }

    /// Bytes came from the client. `now` is asked only when the account is empty.
    pub(in crate::listener) fn read(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> Stand {
        let Self {
            inward,
            free,
            newest,
            settled,
            ..
        } = self;
        let mut cost = 0_u32;
        inward.feed(bytes, |frame| {
            if frame.kind == kind::WINDOW_UPDATE && *free > 0 {
                *free -= 1;
                return;
            }
            cost = cost.saturating_add(takes(&frame));
            match frame.kind {
                kind::HEADERS => *newest = (*newest).max(frame.stream),
                kind::SETTINGS => *settled = true,
                _ => {}
            }
        });
        self.pay(cost, now);
        self.stand()
    }

    /// Bytes went to the client; `broke` is told of what is ended because of what it did.
    pub(in crate::listener) fn wrote(&mut self, bytes: &[u8], broke: impl Fn(Broken)) {
        let mut gain = 0_u32;
        self.outward.feed(bytes, |frame| {
            gain = gain.saturating_add(gives(&frame));
            let end = match frame.kind {
                kind::RST_STREAM => Broken::Stream(frame.code.into()),
                kind::GOAWAY => Broken::Connection(frame.code.into()),
                _ => return,
            };
            if is_the_clients_doing(frame.code) {
                broke(end);
            }
        });
        self.points = self.points.saturating_add(gain).min(self.most);
    }

    /// So many pieces of answers were handed over: the client may give back the window for each of them.
    pub(in crate::listener) fn handed_over(&mut self, pieces: u32) {
        let free = pieces.saturating_mul(FREE_FOR_A_PIECE);
        self.free = self.free.saturating_add(free);
    }

    /// Whether a frame of our own may be written now.
    pub(in crate::listener) const fn is_between_frames(&self) -> bool {
        self.outward.is_between()
    }

    /// GOAWAY with `ENHANCE_YOUR_CALM` (RFC 9113, 6.8).
    pub(in crate::listener) fn goodbye(&self) -> [u8; 17] {
        let [a, b, c, d] = self.newest.to_be_bytes();
        [0, 0, 8, 7, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0x0b]
    }

    fn pay(&mut self, cost: u32, now: impl Fn() -> Instant) {
        if let Some(left) = self.points.checked_sub(cost) {
            self.points = left;
            return;
        }
        let now = now();
        let gone = now.duration_since(self.filled);
        let whole = u64::try_from(gone.as_millis()).unwrap_or(u64::MAX);
        let gain = whole.saturating_mul(u64::from(A_SECOND)) / 1000;
        let gain = u32::try_from(gain).unwrap_or(u32::MAX);
        self.filled = now
            .checked_sub(gone.saturating_sub(Duration::from_millis(whole)))
            .unwrap_or(now);
        let points = self.points.saturating_add(gain).min(self.most);
        self.excess = points < cost;
        self.points = points.saturating_sub(cost);
    }

    fn stand(&self) -> Stand {
        if self.excess {
            return Stand::Excess;
        }
        if !self.settled {
            return Stand::Beginning;
        }
        let in_head = self.inward.last.is_some_and(|(kind, flags)| {
            let of_a_head = kind == kind::HEADERS || kind == kind::CONTINUATION;
            of_a_head && (flags & END_HEADERS == 0 || self.inward.skip > 0)
        });
        if in_head { Stand::InHead } else { Stand::Open }
    }
}

/// What a frame of the client takes from the account.
fn takes(frame: &Frame) -> u32 {
    match frame.kind {
        kind::DATA if frame.flags & END_STREAM != 0 => 0,
        kind::DATA if frame.len == 0 => 10,
        kind::DATA if frame.flags & PAD != 0 && frame.len <= PADDED => 2,
        kind::DATA => 0,
        kind::SETTINGS | kind::PING if frame.flags & ACK != 0 => 0,
        kind::SETTINGS => 20,
        kind::RST_STREAM => 5,
        kind::CONTINUATION if frame.len == 0 => 20,
        kind::WINDOW_UPDATE if frame.increment < CRUMB => 3,
        // HEADERS as well: they are answered, and that gives more; streams beyond what is admitted are not.
        _ => 1,
    }
}

/// Whether a stream is reset so because its client broke a rule (RFC 9113, 7): not for want of something on this side.
fn is_the_clients_doing(code: u32) -> bool {
    matches!(
        h2::Reason::from(code),
        h2::Reason::PROTOCOL_ERROR
            | h2::Reason::FLOW_CONTROL_ERROR
            | h2::Reason::STREAM_CLOSED
            | h2::Reason::FRAME_SIZE_ERROR
            | h2::Reason::COMPRESSION_ERROR
            | h2::Reason::ENHANCE_YOUR_CALM
    )
}

/// What a frame of the gateway gives.
fn gives(frame: &Frame) -> u32 {
    match frame.kind {
        kind::HEADERS => 10,
        kind::DATA if frame.len >= CRUMB => 10,
        kind::DATA if frame.len > 0 => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

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
    fn frames_are_cut_wherever_reads_end() {
        let mut bytes = frame(0, 0, 1, b"hello");
        bytes.extend(frame(8, 0, 3, &[0, 0, 1, 0]));
        bytes.extend(frame(6, 1, 0, &[0; 8]));
        let whole = |step: usize| {
            let (mut cut, mut seen) = (Cut::new(0), Vec::new());
            for part in bytes.chunks(step) {
                cut.feed(part, |frame| seen.push(frame));
            }
            assert!(cut.is_between());
            seen
        };
        let seen = whole(bytes.len());
        let told: Vec<_> = seen
            .iter()
            .map(|f| (f.kind, f.len, f.stream, f.flags))
            .collect();
        assert_eq!(told, [(0, 5, 1, 0), (8, 4, 3, 0), (6, 8, 0, 1)]);
        assert_eq!(seen[1].increment, 256);
        for step in 1..bytes.len() {
            assert_eq!(whole(step), seen, "{step} bytes at a time");
        }
        let mut cut = Cut::new(0);
        cut.feed(&bytes[..11], |_| ());
        assert!(!cut.is_between(), "in a payload");
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
}
