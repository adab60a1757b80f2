//! A socket that writes small messages in one piece.
//!
//! hyper hands over a head and a small body as two buffers. Gathering them in the kernel (`writev`) costs more than a copy
//! of a few hundred bytes here and a plain `send`; what that saves a request is in docs/benchmarks.md. Large writes are
//! passed on as they are.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use smallvec::SmallVec;

use crate::socket::Socket;

/// So many bytes are copied rather than gathered.
const SMALL: usize = 2048;

/// A socket that writes small messages in one piece.
pub struct Gather(TokioIo<Socket>);

impl Gather {
    /// Wraps a socket.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self(TokioIo::new(socket))
    }

    /// Has it reset when it is dropped.
    pub fn reset(&mut self) {
        self.0.inner_mut().reset();
    }

    /// The socket itself.
    pub fn socket(&mut self) -> &mut Socket {
        self.0.inner_mut()
    }
}

impl Read for Gather {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Gather {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if let [only] = bufs {
            return stream.poll_write(cx, only);
        }
        if bufs.iter().map(|buf| buf.len()).sum::<usize>() > SMALL {
            return stream.poll_write_vectored(cx, bufs);
        }
        let mut whole = SmallVec::<[u8; SMALL]>::new();
        bufs.iter().for_each(|buf| whole.extend_from_slice(buf));
        stream.poll_write(cx, &whole)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
