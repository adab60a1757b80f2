//! One HTTP/2 connection in clear text, with prior knowledge (RFC 9113, 3.3).

use std::net::{SocketAddr, TcpStream};

use super::frame::{self, Frame, flag, kind, setting};
use super::pack;
use super::seen::{Answer, Seen};
use crate::wire::{Wire, WireError};

/// What a client sends first (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection to a server. It sends what a test says and, while it reads, acknowledges settings and pings, and
/// opens its windows again.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    /// A second handle for a thread that writes.
    stream: TcpStream,
    seen: Seen,
    next: u32,
    opens_windows: bool,
    answers_pings: bool,
}

impl Connection {
    /// Connects and says nothing.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let connected = TcpStream::connect(address).and_then(|stream| {
            let wire = Wire::new(stream.try_clone()?)?;
            Ok((wire, stream))
        });
        let (wire, stream) = match connected {
            Ok(both) => both,
            Err(error) => panic!("cannot connect to {address}: {error}"),
        };
        Self {
            wire,
            stream,
            seen: Seen::default(),
            next: 1,
            opens_windows: true,
            answers_pings: true,
        }
    }

    /// Connects, and exchanges prefaces and settings.
    ///
    /// # Panics
    /// When the server does not speak HTTP/2.
    #[must_use]
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[])
    }

    /// The same with settings of the client's own.
    ///
    /// # Panics
    /// When the server does not speak HTTP/2.
    #[must_use]
    #[track_caller]
    pub fn open_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut connection = Self::connect(address);
        let table = settings
            .iter()
            .find(|(name, _)| *name == setting::HEADER_TABLE_SIZE);
        if let Some((_, size)) = table {
            connection.seen.permit_table(*size as usize);
        }
        connection.send([PREFACE, &frame::settings(settings).encode()].concat());
        let settled = connection.until(|seen| seen.settings_frames == (1, 1));
        if let Err(error) = settled {
            panic!("no HTTP/2 at {address}: {error}");
        }
        connection
    }

    /// From now on the windows stay as they are.
    pub fn keep_windows_shut(&mut self) -> &mut Self {
        self.opens_windows = false;
        self
    }

    /// From now on the server's pings are left without an answer.
    pub fn leave_pings_unanswered(&mut self) -> &mut Self {
        self.answers_pings = false;
        self
    }

    /// Sends exactly these bytes.
    ///
    /// # Panics
    /// When the server is gone; [`Connection::try_send`] is for tests in which it may be.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.try_send(bytes) {
            panic!("cannot send: {error}");
        }
        self
    }

    /// Sends exactly these bytes, to a server that may have closed already.
    ///
    /// # Errors
    /// When the server is gone, or takes nothing.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.wire.send(bytes.as_ref())
    }

    /// Sends a request on a stream of its own, which it gives back; with no body its side is over.
    ///
    /// # Panics
    /// When the server is gone.
    #[track_caller]
    pub fn ask<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        fields: &[(N, V)],
        body: Option<&[u8]>,
    ) -> u32 {
        let stream = self.next_stream();
        let head = frame::headers(stream, pack::block(fields));
        let bytes = match body {
            None => head.with(flag::END_STREAM).encode(),
            Some(body) => [head.encode(), frame::last_data(stream, body).encode()].concat(),
        };
        self.send(bytes);
        stream
    }

    /// Asks for a path, and reads the answer.
    ///
    /// # Errors
    /// When the connection ends before it is whole.
    pub fn get(&mut self, path: &str) -> Result<Answer, WireError> {
        let stream = self.next_stream();
        let head = frame::headers(stream, pack::block(&get(path)));
        self.try_send(head.with(flag::END_STREAM).encode())?;
        self.answer(stream)
    }

    /// Reads until a stream is over.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn answer(&mut self, stream: u32) -> Result<Answer, WireError> {
        self.until(|seen| seen.is_over(stream))?;
        Ok(self.seen.answer(stream))
    }

    /// Waits until the server has seen everything that was sent so far: it answers a PING.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn synchronize(&mut self) -> Result<(), WireError> {
        let payload = *b"are you?";
        let before = self.seen.pongs.len();
        self.try_send(frame::ping(payload).encode())?;
        self.until(|seen| {
            seen.pongs
                .iter()
                .skip(before)
                .any(|pong| pong[..] == payload)
        })
    }

    /// The next stream a client may open.
    pub fn next_stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Streams below this one are used up by a test that numbers its own.
    pub fn skip_to(&mut self, stream: u32) -> &mut Self {
        self.next = stream;
        self
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Reads frames until what came looks as wanted.
    ///
    /// # Errors
    /// When the connection ends before that, or nothing comes within the limit of a read.
    pub fn until(&mut self, looks_so: impl Fn(&Seen) -> bool) -> Result<(), WireError> {
        while !looks_so(&self.seen) {
            self.step()?;
        }
        Ok(())
    }

    /// Reads until the server closes; the error code of its GOAWAY, if it said one.
    ///
    /// # Errors
    /// When it keeps the connection, or sends what is no HTTP/2.
    pub fn until_closed(&mut self) -> Result<Option<u32>, WireError> {
        loop {
            match self.step() {
                Ok(()) => {}
                Err(WireError::Closed(_) | WireError::Reset(_)) => {
                    return Ok(self.seen.goaway_code());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one frame, and answers it where the protocol wants that.
    ///
    /// # Errors
    /// When the connection ends, nothing comes in time, or it is nothing a client accepts.
    pub fn step(&mut self) -> Result<(), WireError> {
        let frame = self.read_frame()?;
        let judged = self.seen.take(&frame);
        judged.map_err(|why| WireError::Malformed(why, frame.encode()))?;
        let answer = match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => {
                Frame::new(kind::SETTINGS, flag::ACK, 0, "").encode()
            }
            kind::PING if self.answers_pings && !frame.has(flag::ACK) => {
                frame.with(flag::ACK).encode()
            }
            kind::DATA if self.opens_windows && !frame.payload.is_empty() => opened(&frame),
            _ => return Ok(()),
        };
        // A server that is gone by now is found by the next read, which may still have something to tell.
        let _ = self.try_send(answer);
        Ok(())
    }

    /// Reads one frame as it stands.
    ///
    /// # Errors
    /// When the connection ends before it is whole, or nothing comes in time.
    pub fn read_frame(&mut self) -> Result<Frame, WireError> {
        let head = self.wire.read_exact(frame::HEAD)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self
            .wire
            .read_exact(length)
            .map_err(|error| error.after(&head))?;
        Ok(Frame::new(head[3], head[4], stream, payload))
    }

    /// Reads everything as it stands until the server closes: what it said may be no HTTP/2.
    ///
    /// # Errors
    /// When it resets instead, or keeps the connection open.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_to_end()
    }

    /// A handle for a thread that writes while this one reads.
    ///
    /// # Panics
    /// When the system has no file handles left.
    #[must_use]
    pub fn writer(&self) -> TcpStream {
        self.stream
            .try_clone()
            .expect("the system has file handles left")
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn finish_sending(&self) {
        self.wire.finish_sending();
    }
}

/// The fields of a GET.
#[must_use]
pub fn get(path: &str) -> [(&'static str, &str); 4] {
    request("GET", path)
}

/// The fields every request has.
#[must_use]
pub fn request<'a>(method: &'a str, path: &'a str) -> [(&'static str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", path),
    ]
}

/// Both windows, opened again by what a frame took.
fn opened(frame: &Frame) -> Vec<u8> {
    let taken = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
    let mut bytes = frame::window(0, taken).encode();
    if !frame.has(flag::END_STREAM) {
        bytes.extend(frame::window(frame.stream, taken).encode());
    }
    bytes
}
