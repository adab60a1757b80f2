//! The client: sends exactly the bytes a test gives, and reads answers as strictly as they can be read.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::message::{Framing, Headers, framing, parse_response_head};
use crate::wire::{Wire, WireError};

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
}

/// One answer, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
    /// The head as it came.
    pub head: Vec<u8>,
    /// The interim answers before it, in order.
    pub interim: Vec<u16>,
    /// The header fields of these.
    pub hints: Vec<Headers>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        match TcpStream::connect(address).and_then(Wire::new) {
            Ok(wire) => Self { wire },
            Err(error) => panic!("cannot connect to {address}: {error}"),
        }
    }

    /// Connects, for callers that go on when it fails.
    ///
    /// # Errors
    /// When the connection is refused.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let wire = TcpStream::connect(address).and_then(Wire::new)?;
        Ok(Self { wire })
    }

    /// Waits so long for each piece of an answer, and no longer.
    ///
    /// # Errors
    /// When the socket options cannot be set.
    pub fn set_limit(&self, limit: Duration) -> std::io::Result<()> {
        self.wire.set_limit(limit)
    }

    /// The address the server sees.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.wire
            .local_address()
            .expect("a connected socket has an address")
    }

    /// Sends exactly these bytes.
    ///
    /// # Panics
    /// When the server is gone; [`Client::try_send`] is for tests in which it may be.
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
    /// When the server is gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.wire.send(bytes.as_ref())
    }

    /// Sends `GET path` for the host `test`, and reads the answer.
    ///
    /// # Panics
    /// When there is no whole answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.expect_response()
    }

    /// Reads the answer to a request that is no HEAD.
    ///
    /// # Panics
    /// When there is no whole answer.
    #[track_caller]
    pub fn expect_response(&mut self) -> Response {
        match self.read_response("GET") {
            Ok(response) => response,
            Err(error) => panic!("no whole answer: {error}"),
        }
    }

    /// Reads the answer to a request with this method, interim answers included.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or the answer is not well-formed.
    pub fn read_response(&mut self, method: &str) -> Result<Response, WireError> {
        let (mut interim, mut hints) = (Vec::new(), Vec::new());
        loop {
            let response = self.read_one(method)?;
            match response.status {
                // After 101 the connection speaks another protocol, so that nothing more is read here.
                100 | 102..=199 => {
                    interim.push(response.status);
                    hints.push(response.headers);
                }
                _ => {
                    return Ok(Response {
                        interim,
                        hints,
                        ..response
                    });
                }
            }
        }
    }

    /// Reads one head as it stands, and nothing after it.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn read_head(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_head()
    }

    /// Reads a number of bytes.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn read_exact(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        self.wire.read_exact(length)
    }

    /// Reads one chunk of a body that streams; the last one is empty.
    ///
    /// # Errors
    /// When the connection ends before that, or the chunk is broken.
    pub fn read_chunk(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_chunk()
    }

    /// Reads what comes until the server closes.
    ///
    /// # Errors
    /// When it resets instead, or keeps the connection open.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_to_end()
    }

    /// Waits for the server to end the connection, in whichever way, without a further byte.
    ///
    /// # Panics
    /// When bytes come, or the connection stays open.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.wire.read_to_end() {
            Ok(rest) | Err(WireError::Reset(rest)) if rest.is_empty() => {}
            Ok(rest) => panic!("closed, but first sent \"{}\"", rest.escape_ascii()),
            Err(error) => panic!("not closed: {error}"),
        }
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn finish_sending(&self) -> &Self {
        self.wire.finish_sending();
        self
    }

    /// Vanishes so that the server sees a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    fn read_one(&mut self, method: &str) -> Result<Response, WireError> {
        let head = self.wire.read_head()?;
        let malformed = |why: String| WireError::Malformed(why, head.clone());
        let (status, reason, headers) = parse_response_head(&head).map_err(malformed)?;
        let framing = framing(&headers).map_err(malformed)?;
        let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        let body = match framing {
            _ if bodiless => Ok(Vec::new()),
            Framing::Chunked => self.wire.read_chunked().map(|(_, body)| body),
            Framing::Length(length) => self.wire.read_exact(length),
            Framing::Unsaid => self.wire.read_to_end(),
        };
        Ok(Response {
            status,
            reason,
            headers,
            body: body.map_err(|error| error.after(&head))?,
            head,
            interim: Vec::new(),
            hints: Vec::new(),
        })
    }
}

impl Response {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}; the answer is {self:?}"),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header field that occurs at most once.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)
    }
}
