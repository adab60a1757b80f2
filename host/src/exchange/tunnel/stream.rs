//! A client's stream of HTTP/2 that has changed over.
//!
//! hyper gives two halves of it: bytes to read and write, and a task that sends what is written. The task takes a writer
//! that was dropped for one that has ended in good order, and it alone hears of a reset while nothing is written. So it is
//! not left to itself: whoever copies drives it, drops it before its end where the client has to see a reset, and takes
//! its end for the client's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::Upgraded;

use super::side::Side;

/// Sends what is written to a stream. Ready once the end was sent, or the stream was reset.
pub(crate) type Sending = Pin<Box<dyn Future<Output = ()>>>;

/// The two halves together.
pub(crate) struct ClientStream {
    bytes: Upgraded,
    /// Until it is over.
    sending: Option<Sending>,
    /// Whether nothing more will be written.
    ends: bool,
}

impl ClientStream {
    /// Of the two that hyper made of one stream.
    pub(crate) fn new(bytes: Upgraded, sending: Sending) -> Self {
        Self {
            bytes,
            sending: Some(sending),
            ends: false,
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(sending) = &mut self.sending
            && sending.as_mut().poll(cx).is_ready()
        {
            self.sending = None;
        }
    }
}

impl Side for ClientStream {
    /// Without the task nobody says that the stream has ended, and h2 resets it with CANCEL (RFC 8441, 5).
    fn reset(&mut self) {
        self.sending = None;
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.drive(cx);
        if self.sending.is_some() || self.ends {
            return Poll::Pending;
        }
        Poll::Ready(match Pin::new(&mut self.bytes).poll_flush(cx) {
            Poll::Ready(Err(error)) => error,
            _ => io::ErrorKind::ConnectionReset.into(),
        })
    }
}

impl Drop for ClientStream {
    /// What was not reset ends in good order, as a connection does.
    fn drop(&mut self) {
        if self.sending.is_some() {
            let _ = Pin::new(self).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl Read for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buf)
    }
}

impl Write for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.bytes).poll_write(cx, buf);
        self.drive(cx);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive(cx);
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends = true;
        // Closes the way to the task, which then sends the end, and is over with that.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.bytes).poll_shutdown(cx) {
            return Poll::Ready(Err(error));
        }
        self.drive(cx);
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}
