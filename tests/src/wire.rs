//! One TCP connection and the pieces HTTP/1.1 is read in, for both ends of the gateway.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

/// How long one read or write may take before the test fails.
const IO_LIMIT: Duration = Duration::from_secs(20);

/// Why a message could not be read whole. Each kind carries what had arrived of it until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// The peer closed in an orderly way.
    Closed(Vec<u8>),
    /// The peer reset the connection, or writing to it failed.
    Reset(Vec<u8>),
    /// Nothing came within the limit.
    TimedOut(Vec<u8>),
    /// What came is not HTTP/1.1 as this harness accepts it.
    Malformed(String, Vec<u8>),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, received) = match self {
            Self::Closed(received) => ("the peer closed", received),
            Self::Reset(received) => ("the connection was reset", received),
            Self::TimedOut(received) => ("nothing more came in time", received),
            Self::Malformed(why, received) => (why.as_str(), received),
        };
        write!(f, "{what}; received: \"{}\"", received.escape_ascii())
    }
}

impl std::error::Error for WireError {}

impl WireError {
    /// The bytes that had arrived.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        match self {
            Self::Closed(received)
            | Self::Reset(received)
            | Self::TimedOut(received)
            | Self::Malformed(_, received) => received,
        }
    }
}

/// One connection; reads are buffered, writes are not.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Takes a connected stream.
    ///
    /// # Errors
    /// When the socket options cannot be set.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IO_LIMIT))?;
        stream.set_write_timeout(Some(IO_LIMIT))?;
        let buffer = Vec::new();
        Ok(Self { stream, buffer })
    }

    /// Waits as long as it takes; somebody else ends it, by [`Wire::handle`].
    ///
    /// # Errors
    /// When the socket options cannot be set.
    pub fn without_limit(self) -> io::Result<Self> {
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(self)
    }

    /// Waits so long for each piece, and no longer.
    ///
    /// # Errors
    /// When the socket options cannot be set.
    pub fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))?;
        self.stream.set_write_timeout(Some(limit))
    }

    /// A second handle of the socket.
    ///
    /// # Errors
    /// When the system has none left.
    pub fn handle(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// Reads and drops what comes, until nothing comes any more.
    pub fn wait_for_end(&mut self) {
        while self.fill().is_ok() {
            self.buffer.clear();
        }
    }

    /// Our own address.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// [`WireError::Reset`] when the peer is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.stream
            .write_all(bytes)
            .map_err(|_| WireError::Reset(Vec::new()))
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn finish_sending(&self) {
        // A peer that is gone already has been told.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection so that the peer sees a reset.
    ///
    /// # Panics
    /// When the system refuses the socket option.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a TCP socket lets its linger time be set");
    }

    /// Reads up to and including the empty line that ends a head.
    ///
    /// # Errors
    /// When the peer ends before that.
    pub fn read_head(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(self.buffer.drain(..at + 4).collect());
            }
            self.fill()?;
        }
    }

    /// Reads a number of bytes.
    ///
    /// # Errors
    /// When the peer ends before that.
    pub fn read_exact(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads one chunk of a body that streams; the last one is empty, and has no trailers.
    ///
    /// # Errors
    /// When the peer ends before that, or breaks the coding.
    pub fn read_chunk(&mut self) -> Result<Vec<u8>, WireError> {
        let line = self.read_line()?;
        let Some(size) = chunk_size(&line) else {
            return Err(WireError::Malformed("bad chunk size".to_owned(), line));
        };
        let mut chunk = self.read_exact(size + 2)?;
        chunk.truncate(size);
        Ok(chunk)
    }

    /// Reads a body in the chunked coding: the bytes as they came, and what they mean.
    ///
    /// # Errors
    /// When the peer ends before the last chunk, or breaks the coding.
    pub fn read_chunked(&mut self) -> Result<(Vec<u8>, Vec<u8>), WireError> {
        let (mut raw, mut body) = (Vec::new(), Vec::new());
        loop {
            let line = self.read_line().map_err(|error| error.after(&raw))?;
            raw.extend_from_slice(&line);
            let Some(size) = chunk_size(&line) else {
                return Err(WireError::Malformed("bad chunk size".to_owned(), raw));
            };
            if size == 0 {
                break;
            }
            let chunk = self
                .read_exact(size + 2)
                .map_err(|error| error.after(&raw))?;
            raw.extend_from_slice(&chunk);
            if !chunk.ends_with(b"\r\n") {
                return Err(WireError::Malformed("chunk without end".to_owned(), raw));
            }
            body.extend_from_slice(&chunk[..size]);
        }
        loop {
            let line = self.read_line().map_err(|error| error.after(&raw))?;
            raw.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok((raw, body));
            }
        }
    }

    /// Reads until the peer closes.
    ///
    /// # Errors
    /// When it resets instead, or keeps the connection open.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(WireError::Closed(all)) => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    fn read_line(&mut self) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                return Ok(self.buffer.drain(..at + 2).collect());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), WireError> {
        let mut piece = [0; 16 * 1024];
        let error: fn(Vec<u8>) -> WireError = match self.stream.read(&mut piece) {
            Ok(0) => WireError::Closed,
            Ok(length) => {
                self.buffer.extend_from_slice(&piece[..length]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                WireError::TimedOut
            }
            Err(_) => WireError::Reset,
        };
        Err(error(std::mem::take(&mut self.buffer)))
    }
}

impl WireError {
    /// The same error, with what had been taken out of the buffer before.
    #[must_use]
    pub fn after(self, earlier: &[u8]) -> Self {
        let join = |rest: Vec<u8>| [earlier, &rest].concat();
        match self {
            Self::Closed(rest) => Self::Closed(join(rest)),
            Self::Reset(rest) => Self::Reset(join(rest)),
            Self::TimedOut(rest) => Self::TimedOut(join(rest)),
            Self::Malformed(why, rest) => Self::Malformed(why, join(rest)),
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?.trim_end_matches("\r\n");
    let digits = text.split(';').next()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain
        .then(|| usize::from_str_radix(digits, 16).ok())
        .flatten()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
