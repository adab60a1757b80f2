//! What the two sides of a tunnel have in common.

use std::io;
use std::task::{Context, Poll};

use hyper::rt::{Read, Write};

use crate::wire::Wire;

/// A connection on which no HTTP is spoken any more, or a stream of one.
pub(crate) trait Side: Read + Write + Unpin {
    /// Has it end, when it is dropped, in a way that shows the other end that something was lost.
    fn reset(&mut self);

    /// Ready once the other end is gone, where that shows without anything being read or written. Asked at every turn.
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        Poll::Pending
    }
}

impl Side for Wire {
    fn reset(&mut self) {
        self.socket().reset();
    }
}
