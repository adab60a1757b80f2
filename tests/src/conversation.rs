//! One connection at a scripted upstream.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use crate::eventually::lock;
use crate::message::{Framing, framing, parse_request_head};
use crate::upstream::{Received, Shared};
use crate::wire::{Wire, WireError};

/// One accepted connection, as the script sees it.
pub struct Conversation {
    wire: Wire,
    number: usize,
    shared: Arc<Shared>,
}

impl Conversation {
    pub(crate) fn begin(stream: TcpStream, shared: &Arc<Shared>) -> Option<Self> {
        let mut record = lock(&shared.record);
        let number = record.streams.len();
        record.streams.push(stream.try_clone().ok()?);
        Some(Self {
            wire: Wire::new(stream).ok()?,
            number,
            shared: Arc::clone(shared),
        })
    }

    pub(crate) fn end(self) {
        lock(&self.shared.record).ended += 1;
        // The record keeps a second handle, so dropping ours would not close the connection.
        if let Some(stream) = lock(&self.shared.record).streams.get(self.number) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Which connection this is, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Reads one request and records it.
    ///
    /// # Errors
    /// When the connection ends, or what comes is no request; what had arrived is recorded as broken.
    pub fn receive(&mut self) -> Result<Received, WireError> {
        let received = self.read_request();
        let mut record = lock(&self.shared.record);
        match &received {
            Ok(request) => record.requests.push(request.clone()),
            Err(error) if !error.received().is_empty() => {
                record.broken.push(error.received().to_vec());
            }
            Err(_) => {}
        }
        received
    }

    /// Reads a head and nothing of the body, which the script then reads or leaves. Not recorded.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn receive_head(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_head()
    }

    /// Reads a number of bytes.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn receive_exact(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        self.wire.read_exact(length)
    }

    /// Reads until the gateway says that nothing more will come.
    ///
    /// # Errors
    /// When it resets instead, or keeps the connection open.
    pub fn receive_to_end(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_to_end()
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn finish_sending(&self) {
        self.wire.finish_sending();
    }

    /// Reads one chunk of a body that streams; the last one is empty.
    ///
    /// # Errors
    /// When the connection ends before that, or the chunk is broken.
    pub fn receive_chunk(&mut self) -> Result<Vec<u8>, WireError> {
        self.wire.read_chunk()
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// When the gateway is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.wire.send(bytes.as_ref())
    }

    /// Waits until the gateway closes or resets, and returns what it sent before.
    pub fn until_closed(&mut self) -> Vec<u8> {
        match self.wire.read_to_end() {
            Ok(rest) => rest,
            Err(error) => error.received().to_vec(),
        }
    }

    /// Makes the end of the script a reset instead of an orderly close.
    ///
    /// # Panics
    /// When the system refuses the socket option.
    pub fn reset_at_end(&mut self) {
        let mut record = lock(&self.shared.record);
        // Only closing the last handle resets, and a shutdown before it would be an orderly close. So the record lets
        // go of its own handle by taking another in its place.
        if let Some(stream) = record.streams.get_mut(self.number) {
            socket2::SockRef::from(&*stream)
                .set_linger(Some(std::time::Duration::ZERO))
                .expect("a TCP socket lets its linger time be set");
            *stream = unconnected();
        }
    }

    fn read_request(&mut self) -> Result<Received, WireError> {
        let head = self.wire.read_head()?;
        let malformed = |why: String| WireError::Malformed(why, head.clone());
        let (method, target, version, headers) = parse_request_head(&head).map_err(malformed)?;
        let (raw_body, body) = match framing(&headers).map_err(malformed)? {
            Framing::Chunked => self.wire.read_chunked(),
            Framing::Length(length) => self
                .wire
                .read_exact(length)
                .map(|body| (body.clone(), body)),
            Framing::Unsaid => Ok((Vec::new(), Vec::new())),
        }
        .map_err(|error| error.after(&head))?;
        Ok(Received {
            connection: self.number,
            head,
            raw_body,
            method,
            target,
            version,
            headers,
            body,
        })
    }
}

fn unconnected() -> TcpStream {
    Socket::new(Domain::IPV4, Type::STREAM, None)
        .expect("the system has sockets left")
        .into()
}
