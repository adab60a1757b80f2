//! A connection without a socket: what is read is there from the beginning, what is written is kept.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

/// Both ends of a connection in memory.
#[derive(Debug)]
pub struct Memory {
    comes: Bytes,
    /// How much of it comes at once.
    at_once: usize,
    gone: Rc<RefCell<Vec<u8>>>,
    /// Nothing is read before something was written: whoever asks speaks first.
    waits: bool,
}

impl Memory {
    /// From which these bytes are read, so many at once; and what is written to it.
    #[must_use]
    pub fn new(comes: &[u8], at_once: usize) -> (Self, Rc<RefCell<Vec<u8>>>) {
        let gone = Rc::new(RefCell::new(Vec::new()));
        let memory = Self {
            comes: Bytes::copy_from_slice(comes),
            at_once: at_once.max(1),
            gone: Rc::clone(&gone),
            waits: false,
        };
        (memory, gone)
    }

    /// The same, where nothing comes before something went.
    #[must_use]
    pub fn of_upstream(comes: &[u8], at_once: usize) -> (Self, Rc<RefCell<Vec<u8>>>) {
        let (mut memory, gone) = Self::new(comes, at_once);
        memory.waits = true;
        (memory, gone)
    }
}

impl Read for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits && self.gone.borrow().is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.at_once.min(self.comes.len()).min(buffer.remaining());
        buffer.put_slice(&self.comes.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.gone.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether somebody wants to be polled again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls until it is ready; none where nobody would ever wake it.
pub fn settle<F: Future>(future: F) -> Option<F::Output> {
    /// More than any conversation in memory takes.
    const MOST: usize = 100_000;
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    for _ in 0..MOST {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
    }
    None
}

/// A body in one piece, which tells its length or does not.
#[derive(Debug)]
pub struct Whole {
    bytes: Option<Bytes>,
    tells: bool,
}

impl Whole {
    /// One that tells how long it is.
    #[must_use]
    pub const fn told(bytes: Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            tells: true,
        }
    }

    /// One that does not.
    #[must_use]
    pub const fn untold(bytes: Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            tells: false,
        }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self.bytes.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.tells && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len) as u64;
        if self.tells {
            SizeHint::with_exact(length)
        } else {
            SizeHint::default()
        }
    }
}
