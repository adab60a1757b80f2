//! Reading and writing past the guard against floods, and what is said to a client that has overdone it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::frames::{Broken, Frames, Stand};
use crate::activity::Activity;
use crate::wire::Wire;

/// The guard of one connection, and where its end stands.
pub(in crate::listener) struct Guarded {
    frames: Frames,
    ending: Option<Ending>,
    /// Is told of what was ended because of what the client did.
    broke: Box<dyn Fn(Broken)>,
}

/// How far the end has come.
struct Ending {
    /// Bytes of the last frame that were written.
    said: usize,
}

impl Guarded {
    pub(in crate::listener) fn new(frames: Frames, broke: Box<dyn Fn(Broken)>) -> Self {
        Self {
            frames,
            ending: None,
            broke,
        }
    }

    /// Whether the client has overdone it.
    pub(in crate::listener) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether it is being told so: from then on nobody else writes.
    pub(in crate::listener) fn says(&self) -> bool {
        self.is_ending() && self.frames.is_between_frames()
    }

    /// Bytes came from the client; whether they may be passed on.
    pub(in crate::listener) fn came(&mut self, bytes: &[u8], activity: &Activity) -> bool {
        self.frames.handed_over(activity.pieces());
        match self.frames.read(bytes, Instant::now) {
            Stand::Beginning => {}
            Stand::InHead => activity.head_comes(),
            Stand::Open => {
                activity.settled();
                activity.head_came();
            }
            Stand::Excess => {
                activity.floods();
                self.ending = Some(Ending { said: 0 });
                return false;
            }
        }
        true
    }

    /// Bytes went to the client.
    pub(in crate::listener) fn went(
        &mut self,
        bufs: &[io::IoSlice<'_>],
        mut written: usize,
        cx: &Context<'_>,
    ) {
        for buf in bufs {
            let part = buf.get(..written.min(buf.len())).unwrap_or_default();
            self.frames.wrote(part, &self.broke);
            written -= part.len();
        }
        if self.says() {
            // The frame that was in the way is out; whoever reads goes on with the last one.
            cx.waker().wake_by_ref();
        }
    }

    /// Reads, and passes nothing on of what overdoes it.
    pub(in crate::listener) fn poll_read(
        &mut self,
        stream: &mut Wire,
        activity: &Activity,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let passing = Passing {
            stream: TokioIo::new(stream),
            guarded: self,
            activity,
        };
        Pin::new(&mut TokioIo::new(passing)).poll_read(cx, buf)
    }

    /// Says goodbye, once no frame is in the way.
    pub(in crate::listener) fn poll_goodbye(
        &mut self,
        stream: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(ending) = &mut self.ending else {
            return Poll::Ready(Ok(()));
        };
        if !self.frames.is_between_frames() {
            return Poll::Pending;
        }
        let goodbye = self.frames.goodbye();
        while let Some(left) = goodbye.get(ending.said..).filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut *stream).poll_write(cx, left))? {
                0 => break,
                written => ending.said += written,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A read on its way past the guard.
struct Passing<'a> {
    stream: TokioIo<&'a mut Wire>,
    guarded: &'a mut Guarded,
    activity: &'a Activity,
}

impl AsyncRead for Passing<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let Self {
            guarded, activity, ..
        } = &mut *self;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if !guarded.came(fresh, activity) {
            buf.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}
