//! The client's side of a tunnel in a stream, where what is written counts as pieces of answers do.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::activity::Activity;
use crate::exchange::{ClientStream, Side};

/// A stream that has changed over.
pub(super) struct Counting {
    stream: ClientStream,
    /// Of the connection.
    activity: Rc<Activity>,
}

impl Counting {
    pub(super) fn new(stream: ClientStream, activity: Rc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl Side for Counting {
    fn reset(&mut self) {
        self.stream.reset();
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.stream.poll_gone(cx)
    }
}

impl Read for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        // A part of it is what the client's window admits: those who open it byte by byte are not paid for it.
        if matches!(written, Poll::Ready(Ok(written)) if written == buf.len()) {
            self.activity.piece_counts();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
