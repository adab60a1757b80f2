//! The two connections of a tunnel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::Upgraded;

use crate::upstream::wire::Wire;

/// A connection on which no HTTP is spoken any more.
pub(crate) trait Side: Read + Write + Unpin {
    /// Has it end, when it is dropped, in a way that shows the other end that something was lost.
    fn reset(&mut self);
}

/// The upstream's connection: the connection itself, so that nothing of hyper stands in between, or a stream of one that
/// others use as well.
pub(super) enum Upper {
    /// A connection of its own.
    Connection(Wire),
    /// A stream.
    Stream(Upgraded),
}

impl Side for Upper {
    fn reset(&mut self) {
        match self {
            Self::Connection(io) => io.reset(),
            Self::Stream(stream) => stream.reset(),
        }
    }
}

/// Dropping a stream before it has ended resets it.
impl Side for Upgraded {
    fn reset(&mut self) {}
}

impl Read for Upper {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(io) => Pin::new(io).poll_read(cx, buf),
            Self::Stream(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Upper {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Connection(io) => Pin::new(io).poll_write(cx, buf),
            Self::Stream(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(io) => Pin::new(io).poll_flush(cx),
            Self::Stream(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Connection(io) => Pin::new(io).poll_shutdown(cx),
            Self::Stream(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
