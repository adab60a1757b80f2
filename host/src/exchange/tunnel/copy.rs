//! Bytes from each side to the other.
//!
//! What is read goes through one buffer that all tunnels of a worker share, and is written at once: a tunnel on which
//! nothing moves keeps no buffer. Only what the other side does not take at once is copied, at most a buffer full in each
//! direction, and while any of that is left nothing more is read: so a reader that stops stops the sender.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use hyper::rt::ReadBuf;
use tokio::time::{Sleep, sleep};

use super::side::Side;

/// How much is read at once.
const ROOM: usize = 64 * 1024;
/// How often a direction moves before others have their turn.
const TURNS: usize = 8;

thread_local! {
    /// What tunnels of this worker read into.
    static SHARED: Cell<Box<[u8]>> = Cell::default();
}

/// How a tunnel ended.
#[derive(Debug)]
pub(super) enum End {
    /// Both sides ended it.
    Over,
    /// Nothing came from either side for too long.
    Silent(Duration),
    /// A connection broke.
    Broken(Who, io::Error),
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Upstream,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over => f.write_str("both sides ended it"),
            Self::Silent(limit) => write!(f, "nothing came from either side for {limit:?}"),
            Self::Broken(Who::Client, error) => write!(f, "the client's side broke: {error}"),
            Self::Broken(Who::Upstream, error) => write!(f, "the upstream's side broke: {error}"),
        }
    }
}

/// Bytes that came with the handshake, by who sent them.
pub(super) struct Early {
    pub(super) client: Bytes,
    pub(super) upstream: Bytes,
}

/// Copies until both directions have ended, or one cannot go on. `moved` hears of bytes that went up and down.
pub(super) async fn both(
    client: &mut impl Side,
    upstream: &mut impl Side,
    early: Early,
    silence: Duration,
    mut moved: impl FnMut(u64, u64),
) -> End {
    let mut up = Direction::new(early.client, (Who::Client, Who::Upstream));
    let mut down = Direction::new(early.upstream, (Who::Upstream, Who::Client));
    let mut quiet = pin!(Quiet::new(silence));
    let end = poll_fn(|cx| {
        // First: what is read of a stream that was reset looks like an end in good order.
        if let Poll::Ready(error) = client.poll_gone(cx) {
            return Poll::Ready(End::Broken(Who::Client, error));
        }
        let mut shared = Shared::take();
        let upward = up.poll(client, upstream, &mut shared.0, cx);
        let downward = down.poll(upstream, client, &mut shared.0, cx);
        drop(shared);
        let (gone_up, gone_down) = (up.take_moved(), down.take_moved());
        if gone_up + gone_down > 0 {
            moved(gone_up, gone_down);
        }
        if up.take_stirred() | down.take_stirred() {
            quiet.as_mut().stirred();
        }
        match (upward, downward) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Over),
            (Poll::Ready(Err((who, error))), _) | (_, Poll::Ready(Err((who, error)))) => {
                Poll::Ready(End::Broken(who, error))
            }
            _ => quiet.as_mut().poll_over(cx).map(|()| End::Silent(silence)),
        }
    })
    .await;
    match end {
        // Who was told the other's last word has lost nothing that a reset would tell it of.
        End::Broken(Who::Client, _) if !up.is_over => upstream.reset(),
        End::Broken(Who::Upstream, _) if !down.is_over => client.reset(),
        _ => {}
    }
    end
}

/// One direction.
struct Direction {
    from: Who,
    to: Who,
    /// What was read and not taken yet.
    rest: Bytes,
    /// Whether something was written that may still lie in a buffer of the writer's.
    unflushed: bool,
    /// Whether all of it was read.
    is_read: bool,
    /// Whether the end was passed on.
    is_over: bool,
    moved: u64,
    /// Whether anything happened.
    stirred: bool,
}

impl Direction {
    fn new(early: Bytes, (from, to): (Who, Who)) -> Self {
        Self {
            from,
            to,
            rest: early,
            // What was said before, the head that agrees, may lie in the buffer of the client's TLS, and be waited for
            // before anything else is said.
            unflushed: true,
            is_read: false,
            is_over: false,
            moved: 0,
            stirred: false,
        }
    }

    fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// Ready once the end was passed on; an error with the side that broke.
    fn poll(
        &mut self,
        from: &mut impl Side,
        to: &mut impl Side,
        shared: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), (Who, io::Error)>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        let (reader, writer) = (self.from, self.to);
        for _ in 0..TURNS {
            ready!(self.poll_rest(to, cx)).map_err(|error| (writer, error))?;
            if self.is_read {
                ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|error| (writer, error))?;
                self.is_over = true;
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(shared);
            let Poll::Ready(read) = Pin::new(&mut *from).poll_read(cx, buffer.unfilled()) else {
                if self.unflushed {
                    ready!(Pin::new(to).poll_flush(cx)).map_err(|error| (writer, error))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            };
            read.map_err(|error| (reader, error))?;
            self.stirred = true;
            if buffer.filled().is_empty() {
                self.is_read = true;
                continue;
            }
            self.pass_on(buffer.filled(), to, cx)
                .map_err(|error| (writer, error))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was just read, and keeps what is not taken.
    fn pass_on(
        &mut self,
        bytes: &[u8],
        to: &mut impl Side,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let written = match Pin::new(to).poll_write(cx, bytes) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.wrote(written);
        if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            self.rest = Bytes::copy_from_slice(rest);
        }
        Ok(())
    }

    /// Writes what is left of earlier.
    fn poll_rest(&mut self, to: &mut impl Side, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(written);
            self.wrote(written);
            if self.rest.is_empty() {
                self.rest = Bytes::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, bytes: usize) {
        if bytes > 0 {
            self.moved += bytes as u64;
            self.unflushed = true;
            self.stirred = true;
        }
    }
}

/// The buffer that the tunnels of a worker share, for the length of one turn.
struct Shared(Box<[u8]>);

impl Shared {
    fn take() -> Self {
        let shared = SHARED.take();
        if shared.is_empty() {
            return Self(vec![0; ROOM].into_boxed_slice());
        }
        Self(shared)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        SHARED.set(std::mem::take(&mut self.0));
    }
}

/// How long nothing has happened. The timer moves only when it is due: a busy tunnel costs it a look at the clock.
struct Quiet {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Quiet {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: Instant::now(),
            timer: Box::pin(sleep(limit)),
        }
    }

    fn stirred(mut self: Pin<&mut Self>) {
        self.since = Instant::now();
    }

    fn poll_over(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let Some(due) = self.since.checked_add(self.limit) else {
                return Poll::Pending;
            };
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due.into());
        }
    }
}

#[cfg(test)]
mod tests;
