//! A connection to a target as hyper has it: what passes is looked at on its way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::interim::Ear;
use crate::wire::Wire;

/// Whether the target takes what is written to it: twice how often something was written, and one more while what is
/// to be written waits for the target. Atomic for the reason that [`Ear`] is.
#[derive(Debug, Default)]
pub(super) struct Outflow(AtomicU64);

impl Outflow {
    /// How often something was written, while the target takes no more; none: nothing waits for it.
    pub(super) fn stands_at(&self) -> Option<u64> {
        let state = self.0.load(Relaxed);
        (state & 1 == 1).then_some(state >> 1)
    }

    fn writes(&self, polled: &Poll<io::Result<usize>>) {
        let state = self.0.load(Relaxed);
        let state = match polled {
            Poll::Ready(_) => (state | 1).wrapping_add(1),
            Poll::Pending => state | 1,
        };
        self.0.store(state, Relaxed);
    }

    /// TLS takes more than it has written, so what waits may show only here.
    fn flushes(&self, polled: &Poll<io::Result<()>>) {
        let state = self.0.load(Relaxed);
        let state = match polled {
            Poll::Ready(_) => state & !1,
            Poll::Pending => state | 1,
        };
        self.0.store(state, Relaxed);
    }
}

/// A connection to a target of which is heard what comes before an answer, and seen whether what is written leaves.
pub struct Heard {
    wire: Wire,
    ear: Arc<Ear>,
    outflow: Arc<Outflow>,
}

impl Heard {
    pub(super) fn new(wire: Wire, ear: &Arc<Ear>, outflow: &Arc<Outflow>) -> Self {
        Self {
            wire,
            ear: Arc::clone(ear),
            outflow: Arc::clone(outflow),
        }
    }

    /// The connection itself.
    #[must_use]
    pub fn into_wire(self) -> Wire {
        self.wire
    }
}

/// A read that is listened to.
struct Listened<'a> {
    wire: TokioIo<&'a mut Wire>,
    ear: &'a Ear,
}

impl AsyncRead for Listened<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        self.ear.hears(fresh);
        Poll::Ready(Ok(()))
    }
}

impl Read for Heard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { wire, ear, .. } = self.get_mut();
        if !ear.listens() {
            return Pin::new(wire).poll_read(cx, buf);
        }
        let wire = TokioIo::new(wire);
        Pin::new(&mut TokioIo::new(Listened { wire, ear })).poll_read(cx, buf)
    }
}

impl Write for Heard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { wire, outflow, .. } = self.get_mut();
        let polled = Pin::new(wire).poll_write(cx, buf);
        outflow.writes(&polled);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { wire, outflow, .. } = self.get_mut();
        let polled = Pin::new(wire).poll_write_vectored(cx, bufs);
        outflow.writes(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { wire, outflow, .. } = self.get_mut();
        let polled = Pin::new(wire).poll_flush(cx);
        outflow.flushes(&polled);
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_target_is_told_from_what_moves() {
        let outflow = Outflow::default();
        assert_eq!(outflow.stands_at(), None);
        outflow.writes(&Poll::Ready(Ok(5)));
        assert_eq!(outflow.stands_at(), None, "nothing waits");
        outflow.writes(&Poll::Pending);
        let stood = outflow.stands_at();
        assert!(stood.is_some());
        outflow.writes(&Poll::Pending);
        assert_eq!(outflow.stands_at(), stood, "it took nothing");
        outflow.writes(&Poll::Ready(Ok(5)));
        outflow.flushes(&Poll::Pending);
        assert!(outflow.stands_at() > stood, "it took something");
        outflow.flushes(&Poll::Ready(Ok(())));
        assert_eq!(outflow.stands_at(), None);
    }
}
