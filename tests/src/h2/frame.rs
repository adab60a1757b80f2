//! One frame, as RFC 9113 lays it out in section 4.1, and the numbers of section 6 and 7.

/// Types of frames.
pub mod kind {
    /// Bytes of a body.
    pub const DATA: u8 = 0;
    /// A header block, or its beginning.
    pub const HEADERS: u8 = 1;
    /// Deprecated.
    pub const PRIORITY: u8 = 2;
    /// The end of a stream before its time.
    pub const RST_STREAM: u8 = 3;
    /// Settings of the sender.
    pub const SETTINGS: u8 = 4;
    /// Never sent by a client.
    pub const PUSH_PROMISE: u8 = 5;
    /// Asks for an answer.
    pub const PING: u8 = 6;
    /// No further streams.
    pub const GOAWAY: u8 = 7;
    /// Room for more bytes.
    pub const WINDOW_UPDATE: u8 = 8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    /// Of SETTINGS and PING.
    pub const ACK: u8 = 0x1;
    /// The sender's side of the stream is over.
    pub const END_STREAM: u8 = 0x1;
    /// The header block is whole.
    pub const END_HEADERS: u8 = 0x4;
    /// Padding stands in the frame.
    pub const PADDED: u8 = 0x8;
    /// Priority fields stand in the frame.
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes.
pub mod code {
    /// No error: an orderly end.
    pub const NO_ERROR: u32 = 0;
    /// The general one.
    pub const PROTOCOL_ERROR: u32 = 1;
    /// The endpoint's own fault.
    pub const INTERNAL_ERROR: u32 = 2;
    /// More bytes than there was room for.
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    /// A frame on a stream that is closed already.
    pub const STREAM_CLOSED: u32 = 5;
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: u32 = 6;
    /// Not acted upon, so it may be asked again.
    pub const REFUSED_STREAM: u32 = 7;
    /// No longer wanted.
    pub const CANCEL: u32 = 8;
    /// The header compression cannot go on.
    pub const COMPRESSION_ERROR: u32 = 9;
    /// Too much of something.
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Names of settings.
pub mod setting {
    /// Of the dynamic table the peer's encoder may use.
    pub const HEADER_TABLE_SIZE: u16 = 1;
    /// Whether the client takes pushes.
    pub const ENABLE_PUSH: u16 = 2;
    /// Streams at the same time.
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    /// Of each stream.
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    /// The largest payload taken.
    pub const MAX_FRAME_SIZE: u16 = 5;
    /// The largest header list taken.
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    /// Extended CONNECT (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// Bytes of the head of a frame.
pub const HEAD: usize = 9;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream, with the reserved bit as it came.
    pub stream: u32,
    /// What follows the head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        Self {
            kind,
            flags,
            stream,
            payload,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let mut bytes = head(length, self.kind, self.flags, self.stream);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The same with a flag more.
    #[must_use]
    pub fn with(mut self, flag: u8) -> Self {
        self.flags |= flag;
        self
    }

    /// The same without a flag.
    #[must_use]
    pub fn without(mut self, flag: u8) -> Self {
        self.flags &= !flag;
        self
    }

    /// The same with padding; the payload must not have any yet.
    #[must_use]
    pub fn padded(mut self, length: u8) -> Self {
        self.payload.insert(0, length);
        self.payload.extend(std::iter::repeat_n(0, length.into()));
        self.with(flag::PADDED)
    }

    /// Whether it carries a flag.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// A 32-bit number in the payload.
    #[must_use]
    pub fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The head of a frame, whatever then follows it.
#[must_use]
pub fn head(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let [_, high, middle, low] = length.to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes
}

/// SETTINGS with these values.
#[must_use]
pub fn settings(values: &[(u16, u32)]) -> Frame {
    let pair = |(name, value): &(u16, u32)| {
        let (name, value) = (name.to_be_bytes(), value.to_be_bytes());
        name.into_iter().chain(value)
    };
    let payload: Vec<u8> = values.iter().flat_map(pair).collect();
    Frame::new(kind::SETTINGS, 0, 0, payload)
}

/// HEADERS with a whole block; the stream stays open.
#[must_use]
pub fn headers(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block)
}

/// CONTINUATION that ends a block.
#[must_use]
pub fn continuation(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, block)
}

/// DATA; the stream stays open.
#[must_use]
pub fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, 0, stream, bytes)
}

/// DATA that ends the client's side of the stream.
#[must_use]
pub fn last_data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    data(stream, bytes).with(flag::END_STREAM)
}

/// RST_STREAM.
#[must_use]
pub fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

/// PING.
#[must_use]
pub fn ping(payload: [u8; 8]) -> Frame {
    Frame::new(kind::PING, 0, 0, payload)
}

/// WINDOW_UPDATE; stream 0 is the connection.
#[must_use]
pub fn window(stream: u32, increment: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// PRIORITY.
#[must_use]
pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Frame {
    Frame::new(kind::PRIORITY, 0, stream, dependency(depends_on, weight))
}

/// The five bytes of a priority, in PRIORITY and in HEADERS.
#[must_use]
pub fn dependency(on: u32, weight: u8) -> Vec<u8> {
    let mut bytes = on.to_be_bytes().to_vec();
    bytes.push(weight);
    bytes
}

/// GOAWAY.
#[must_use]
pub fn goaway(last: u32, code: u32) -> Frame {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    Frame::new(kind::GOAWAY, 0, 0, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_as_the_rfc_draws_it() {
        let frame = data(3, "abc").with(flag::END_STREAM).padded(2);
        assert_eq!(
            frame.encode(),
            b"\x00\x00\x06\x00\x09\x00\x00\x00\x03\x02abc\x00\x00"
        );
        assert_eq!(
            settings(&[(setting::MAX_FRAME_SIZE, 16_384)]).encode(),
            b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"
        );
        assert_eq!(goaway(1, 11).number_at(4), Some(11));
    }
}
