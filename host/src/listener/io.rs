//! A client's socket that reports what it does.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags};
use tokio::io::{AsyncRead, ReadBuf};

use super::http2::guarded::Guarded;
use super::line::FirstLine;
use crate::activity::Activity;
use crate::exchange::{Peer, Side};
use crate::wire::Wire;

/// A socket together with the record its connection is held to.
pub(super) struct ClientIo {
    stream: Wire,
    /// What was read already, to tell what is spoken.
    first: Bytes,
    activity: Rc<Activity>,
    /// Bytes that are still thrown away before the socket closes; none before it is being closed.
    lingering: Option<usize>,
    /// Of HTTP/2.
    guarded: Option<Box<Guarded>>,
    /// Of HTTP/1.1: says before answers what hyper cannot.
    peer: Option<Rc<Peer>>,
    line: FirstLine,
    /// Whether what was written waits to be flushed, as it does in TLS: what is written is taken there before it leaves.
    unflushed: bool,
}

impl Side for ClientIo {
    fn reset(&mut self) {
        self.stream.socket().reset();
    }
}

/// The system would go on to send what the client does not take, for minutes, and keep all of it.
impl Drop for ClientIo {
    fn drop(&mut self) {
        if self.activity.has_given_up() {
            self.reset();
        }
    }
}

/// Most heads are shorter.
const FIRST_BYTES: usize = 1024;

/// How much a closing connection may still send.
const LINGERING_BYTES: usize = 1024 * 1024;

impl ClientIo {
    /// `first` was read from it already.
    pub(super) fn new(stream: Wire, first: Bytes, activity: Rc<Activity>) -> Self {
        Self {
            stream,
            first,
            activity,
            lingering: None,
            guarded: None,
            peer: None,
            line: FirstLine::default(),
            unflushed: false,
        }
    }

    /// Puts back what was read of it; nothing else was read before.
    pub(super) fn with_first(mut self, first: Bytes) -> Self {
        // Also an empty one would hold the buffer it is part of.
        if !first.is_empty() {
            self.first = first;
        }
        self
    }

    /// Holds the connection to what it may send in frames of HTTP/2.
    pub(super) fn guard_frames(&mut self, frames: Guarded) {
        self.guarded = Some(Box::new(frames));
    }

    /// Writes what is to be said before answers.
    pub(super) fn speak_for(&mut self, peer: Rc<Peer>) {
        self.peer = Some(peer);
    }

    /// Writes what waits to be said before an answer; of what hyper is about to write, none can have been begun before it.
    fn poll_interim(&mut self, cx: &mut Context<'_>, begun: bool) -> Poll<io::Result<()>> {
        let Some(peer) = &self.peer else {
            return Poll::Ready(Ok(()));
        };
        if peer.interim.is_empty() || begun && !peer.interim.is_begun() {
            return Poll::Ready(Ok(()));
        }
        let sent = peer.interim.poll_send(&mut self.stream, cx);
        self.activity.wrote(sent.is_pending());
        // TLS takes it before it leaves.
        self.unflushed = true;
        sent
    }

    /// Waits for the client without room to read into; what it then sends first is kept for whoever reads next. Ready also at
    /// its end, which whoever reads next finds as well.
    pub(super) fn poll_awake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.first.is_empty() {
            // The beginning of a head that came behind the last request. It may be longer than the room here, and the time
            // for a head runs from now on.
            self.activity.read();
            return Poll::Ready(());
        }
        let mut room = [MaybeUninit::uninit(); FIRST_BYTES];
        let mut buffer = hyper::rt::ReadBuf::uninit(&mut room);
        // An error comes again as well, for a broken connection stays broken.
        let _ = ready!(Pin::new(&mut *self).poll_read(cx, buffer.unfilled()));
        // It is heard when it is read for good.
        self.activity.forgets();
        self.first = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready(())
    }

    /// Whether the client has closed its side, also behind bytes that nobody has read yet: hyper reads no further than
    /// somebody wants the body, and would not notice.
    fn is_gone(&mut self) -> bool {
        // Where the system does not tell one side from both, only a connection that is over altogether is found.
        #[cfg(target_os = "linux")]
        const LEFT: PollFlags = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        const LEFT: PollFlags = PollFlags::empty();
        let mut asked = [PollFd::new(self.stream.socket(), LEFT)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let left = LEFT | PollFlags::HUP | PollFlags::ERR;
        let polled = rustix::event::poll(&mut asked, Some(&now));
        let [asked] = asked;
        polled.is_ok() && asked.revents().intersects(left)
    }

    /// Tells a client that it has overdone it, and closes; whoever reads is told that the client is gone.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            stream, guarded, ..
        } = self;
        if let Some(guarded) = guarded {
            ready!(guarded.poll_goodbye(stream, cx))?;
        }
        self.activity.cut_streams();
        Pin::new(self).poll_shutdown(cx)
    }

    /// Nothing is written any more once the client was told to go; none before that.
    fn said_goodbye(&self, bufs: &[io::IoSlice<'_>]) -> Option<Poll<io::Result<usize>>> {
        let over = self.guarded.as_ref().is_some_and(|guarded| guarded.says());
        over.then(|| Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum())))
    }

    /// What is written while a head is waited for is the answer of the parser itself, to a head that is none.
    /// Takes it where something else is said in its place.
    fn hears_answer(&self, bufs: &[io::IoSlice<'_>]) -> Option<usize> {
        if !self.activity.is_in_head() {
            return None;
        }
        let first = bufs.first()?;
        self.activity.answers_by_itself(first);
        if self.activity.answered_by_itself() != Some(431) {
            return None;
        }
        let instead = self.line.instead_of(first)?;
        self.activity.answers_by_itself(&instead);
        self.peer.as_ref()?.interim.put(&instead);
        Some(first.len())
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.wrote(written.is_pending());
        written
    }
}

/// A read of a head, whose beginning is kept for those who want to see what was refused.
struct Hearing<'a> {
    stream: TokioIo<&'a mut Wire>,
    activity: &'a Activity,
    line: &'a mut FirstLine,
}

impl AsyncRead for Hearing<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        self.activity.hears(fresh);
        self.line.reads(fresh);
        Poll::Ready(Ok(()))
    }
}

impl Read for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut given = false;
        if !this.activity.is_in_head() {
            this.line = FirstLine::default();
        }
        if !this.first.is_empty() {
            let len = this.first.len().min(buf.remaining());
            let first = this.first.split_to(len);
            buf.put_slice(&first);
            if this.activity.awaits_head() {
                this.activity.hears(&first);
                this.line.reads(&first);
            }
            if let Some(guarded) = &mut this.guarded {
                guarded.came(&first, &this.activity);
            }
            given = true;
        }
        // Also after those bytes: what follows them is often there already, and a head is then read in one piece.
        let mut read = match &mut this.guarded {
            None if this.activity.awaits_head() => {
                let hearing = Hearing {
                    stream: TokioIo::new(&mut this.stream),
                    activity: &this.activity,
                    line: &mut this.line,
                };
                Pin::new(&mut TokioIo::new(hearing)).poll_read(cx, buf)
            }
            None => Pin::new(&mut this.stream).poll_read(cx, buf),
            Some(guarded) => {
                if !guarded.is_ending() {
                    let read = guarded.poll_read(&mut this.stream, &this.activity, cx, buf);
                    if read.is_pending() || !guarded.is_ending() {
                        return if given { Poll::Ready(Ok(())) } else { read };
                    }
                }
                return this.poll_goodbye(cx);
            }
        };
        if given && read.is_pending() {
            read = Poll::Ready(Ok(()));
        }
        if read.is_ready() {
            // The end of the stream counts as well; the connection ends then, and nobody asks again.
            this.activity.read();
        }
        read
    }
}

impl Write for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(said) = self.said_goodbye(&[io::IoSlice::new(buf)]) {
            return said;
        }
        ready!(self.poll_interim(cx, true))?;
        if let Some(taken) = self.hears_answer(&[io::IoSlice::new(buf)]) {
            return Poll::Ready(Ok(taken));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let (Some(guarded), Poll::Ready(Ok(written))) = (&mut self.guarded, &written) {
            guarded.went(&[io::IoSlice::new(buf)], *written, cx);
        }
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(said) = self.said_goodbye(bufs) {
            return said;
        }
        ready!(self.poll_interim(cx, true))?;
        if let Some(taken) = self.hears_answer(bufs) {
            return Poll::Ready(Ok(taken));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let (Some(guarded), Poll::Ready(Ok(written))) = (&mut self.guarded, &written) {
            guarded.went(bufs, *written, cx);
        }
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.looks() && self.is_gone() {
            let gone = "the client left while a plugin was waiting";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, gone)));
        }
        // hyper asks for it once it has written all that it had.
        ready!(self.poll_interim(cx, false))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // Only after a flush that had to wait: without TLS one succeeds at once, whatever the client takes.
        if flushed.is_pending() || self.unflushed {
            self.unflushed = flushed.is_pending();
            self.activity.wrote(self.unflushed);
        }
        if flushed.is_ready() {
            self.activity.has_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut left = match self.lingering {
            Some(left) => left,
            None => {
                ready!(self.poll_interim(cx, false))?;
                let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
                // The farewell of TLS has to be taken like an answer: until then the connection is not one that rests, on which
                // another request may come.
                self.activity.wrote(closed.is_pending());
                ready!(closed)?;
                if self.activity.lingers() {
                    LINGERING_BYTES
                } else {
                    0
                }
            }
        };
        // Closing a socket with unread bytes resets it, and the client may lose the answer it was just sent.
        let mut scratch = [MaybeUninit::uninit(); 4096];
        while left > 0 {
            self.lingering = Some(left);
            let mut buffer = tokio::io::ReadBuf::uninit(&mut scratch);
            match ready!(Pin::new(self.stream.socket()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    left = left.saturating_sub(buffer.filled().len());
                }
                _ => break,
            }
        }
        self.lingering = Some(0);
        Poll::Ready(Ok(()))
    }
}
