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

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::frame::{Cut, Frame, kind};

/// What the account holds at the least, and begins with.
const POINTS: u32 = 1000;
/// What it holds for each stream that may be open, if that is more.
const FOR_EACH_STREAM: u32 = 10;
/// What it gets for each second.
const A_SECOND: u32 = 100;

/// A window that is opened by less than this makes answers go out in crumbs.
const CRUMB: u32 = 64;
/// How often a client gives a window back for one piece of an answer: that of the stream and that of the connection.
const FREE_FOR_A_PIECE: u32 = 2;
/// A DATA frame with padding and no more than this may be nothing but padding.
const PADDED: u32 = 256;

/// Of SETTINGS and PING: an answer to one of ours.
const ACK: u8 = 1;
/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
/// Of DATA and HEADERS.
const PAD: u8 = 8;

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
        if self.inward.is_in_head() {
            Stand::InHead
        } else {
            Stand::Open
        }
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
