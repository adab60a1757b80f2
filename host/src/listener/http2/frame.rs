//! Frames of HTTP/2 (RFC 9113, 4.1), read off one direction of a connection as it passes by: nothing is copied but their
//! heads.

/// Length of the head of a frame (RFC 9113, 4.1).
const HEAD: usize = 9;
/// How much is read of a payload: all of WINDOW_UPDATE and RST_STREAM, of GOAWAY what stands before its text.
const NUMBER: usize = 4;
const NUMBERS: usize = 2 * NUMBER;
/// Of HEADERS and CONTINUATION.
const END_HEADERS: u8 = 4;

/// The types of frames (RFC 9113, 6).
pub(super) mod kind {
    pub(in crate::listener::http2) const DATA: u8 = 0;
    pub(in crate::listener::http2) const HEADERS: u8 = 1;
    pub(in crate::listener::http2) const RST_STREAM: u8 = 3;
    pub(in crate::listener::http2) const SETTINGS: u8 = 4;
    pub(in crate::listener::http2) const PING: u8 = 6;
    pub(in crate::listener::http2) const GOAWAY: u8 = 7;
    pub(in crate::listener::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::listener::http2) const CONTINUATION: u8 = 9;
}

/// A frame, as its head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Of WINDOW_UPDATE.
    pub(super) increment: u32,
    /// Of RST_STREAM and GOAWAY.
    pub(super) code: u32,
}

/// One direction of a connection, cut into frames.
#[derive(Debug)]
pub(super) struct Cut {
    /// Bytes until the next head begins: of a preface, then of payloads.
    skip: usize,
    head: [u8; HEAD + NUMBERS],
    have: usize,
    /// Kind and flags of the last head.
    last: Option<(u8, u8)>,
}

impl Cut {
    /// `skip` bytes come before the first frame.
    pub(super) const fn new(skip: usize) -> Self {
        Self {
            skip,
            head: [0; HEAD + NUMBERS],
            have: 0,
            last: None,
        }
    }

    /// Whether the last byte was the last of a frame.
    pub(super) const fn is_between(&self) -> bool {
        self.skip == 0 && self.have == 0
    }

    /// Whether a head has begun and is not complete: its last frame is still to come, or its last byte.
    pub(super) fn is_in_head(&self) -> bool {
        self.last.is_some_and(|(kind, flags)| {
            let of_a_head = kind == kind::HEADERS || kind == kind::CONTINUATION;
            of_a_head && (flags & END_HEADERS == 0 || self.skip > 0)
        })
    }

    /// These bytes go by; `see` is told of each frame whose head is complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(Frame)) {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame as it stands on the wire.
    pub(in crate::listener::http2) fn frame(
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
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
}
