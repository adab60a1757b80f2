//! One connection that speaks HTTP/2, its streams, and its end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::held::{Hand, Held};
use super::lines::Room;
use crate::endpoint::Endpoint;
use crate::metrics::traffic::Hold;
use crate::panics::{self, Part};
use crate::wire::Wire;

/// How many streams a connection carries at most, if the target admits as many; then another one is opened.
const STREAMS: usize = 100;
/// How much a target may send on a stream before somebody took it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams of a connection together: so much that streams nobody reads from hold up no other one. At
/// worst it is also what a connection keeps in memory.
const WINDOW: u32 = STREAM_WINDOW * 100;
/// How much of a request waits to be written on a stream.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of an answer's head.
const HEAD: u32 = 64 * 1024;
/// How long a connection without streams may take to say that it ends.
const LINGER: Duration = Duration::from_secs(5);

/// How long a connection may bring nothing at all after a request, if somebody gives up waiting then.
const UNANSWERED: Duration = Duration::from_secs(3);
/// The same while answers run, which may have nothing to say for a while.
const SILENT: Duration = Duration::from_secs(30);

type Driven = Rc<RefCell<Option<Connection<Watched, Held, Tasks>>>>;

/// A connection that may carry many requests at once.
pub struct Line {
    requests: RefCell<SendRequest<Held>>,
    /// Those of the connection.
    pub(super) tasks: Tasks,
    driven: Driven,
    /// Streams in use.
    active: Rc<Cell<usize>>,
    /// What the target admits, as it was known last.
    admitted: Cell<usize>,
    /// How many there were when it refused another one.
    refused: Cell<usize>,
    /// Who waits for a stream to end.
    room: Rc<Room>,
    /// How many ended well since that changed.
    completed: Cell<usize>,
    /// What was read.
    reads: Rc<Reads>,
    /// Since when nothing was read although something was asked, and how often something had been read by then.
    asked: Cell<(u64, Instant)>,
    /// Whether it is left to those that use it.
    retired: Cell<bool>,
    /// The sweep before which it was used last.
    pub(in crate::upstream) used: Cell<u32>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} streams)", self.active.get())
    }
}

/// A stream in use, until the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Streaming {
    _one: Rc<One>,
}

#[derive(Debug)]
struct One {
    active: Rc<Cell<usize>>,
    room: Rc<Room>,
}

impl Drop for One {
    fn drop(&mut self) {
        self.active.set(self.active.get().saturating_sub(1));
        self.room.changes();
    }
}

impl Line {
    /// Starts the tasks of a connection on this worker.
    ///
    /// # Errors
    /// What hyper said.
    pub async fn open(
        wire: Wire,
        target: Endpoint,
        account: &Rc<Hold>,
        room: Rc<Room>,
    ) -> hyper::Result<Rc<Self>> {
        let now = Instant::now();
        let reads = Rc::new(Reads {
            count: Cell::new(0),
            last: Cell::new(now),
        });
        let tasks = Tasks::default();
        let watched = Watched {
            wire,
            reads: Rc::clone(&reads),
        };
        let (requests, connection) = Builder::new(tasks.clone())
            .initial_max_send_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEAD)
            .handshake(watched)
            .await?;
        let driven = Rc::new(RefCell::new(Some(connection)));
        let line = Rc::new(Self {
            requests: RefCell::new(requests),
            tasks: tasks.clone(),
            driven: Rc::clone(&driven),
            active: Rc::default(),
            admitted: Cell::new(STREAMS),
            refused: Cell::new(STREAMS),
            room: Rc::clone(&room),
            completed: Cell::new(0),
            reads,
            asked: Cell::new((0, now)),
            retired: Cell::new(false),
            used: Cell::new(0),
        });
        let open = account.begin();
        let first = tasks.0.first.take();
        let active = Rc::clone(&line.active);
        spawn_local(async move {
            panics::contained(Part::Upstream, drive(driven, &target)).await;
            // Whoever waits for room on it waits in vain.
            room.changes();
            linger(first, &active).await;
            drop(open);
        });
        Ok(line)
    }

    /// Whether it takes requests at all.
    pub fn is_usable(&self) -> bool {
        !self.retired.get() && !self.requests.borrow().is_closed()
    }

    /// Whether it takes one more.
    pub fn has_room(&self) -> bool {
        self.active.get() < self.room()
    }

    /// Streams in use.
    pub fn active(&self) -> usize {
        self.active.get()
    }

    /// How often something was read so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads.count.get()
    }

    /// Something is asked of the target.
    pub(super) fn asks(&self) {
        let reads = self.reads();
        if self.asked.get().0 != reads {
            self.asked.set((reads, Instant::now()));
        }
    }

    /// Somebody gave up who had asked then: whoever is silent for so long is probably dead, and takes no more requests.
    pub(super) fn is_given_up(&self, asked: Instant) {
        let (reads, since) = self.asked.get();
        let unanswered = reads == self.reads() && since.elapsed() >= UNANSWERED;
        if unanswered || self.reads.last.get().max(asked).elapsed() >= SILENT {
            self.retire();
        }
    }

    /// No more requests; those that run go on.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.room.changes();
    }

    /// The target took no more streams than there are.
    pub(super) fn is_full(&self) {
        let others = self.active.get().saturating_sub(1);
        self.refused.set(self.refused.get().min(others.max(1)));
        self.completed.set(0);
    }

    /// A stream ended well. Once as many did as there may be, the target may take one more than it took.
    pub(super) fn completes(&self) {
        let (refused, completed) = (self.refused.get(), self.completed.get() + 1);
        if refused < STREAMS && completed >= refused {
            self.refused.set(refused + 1);
            self.completed.set(0);
        } else {
            self.completed.set(completed.min(STREAMS));
        }
    }

    pub(super) fn begin(&self) -> Streaming {
        self.active.set(self.active.get().saturating_add(1));
        let (active, room) = (Rc::clone(&self.active), Rc::clone(&self.room));
        Streaming {
            _one: Rc::new(One { active, room }),
        }
    }

    pub(super) fn requests(&self) -> &RefCell<SendRequest<Held>> {
        &self.requests
    }

    /// What the target admits, which it may change at any time.
    fn room(&self) -> usize {
        // While the connection runs it cannot be asked: then it is a plugin that asks, from inside a body.
        if let Ok(driven) = self.driven.try_borrow()
            && let Some(connection) = &*driven
        {
            self.admitted.set(connection.current_max_send_streams());
        }
        let admitted = self.admitted.get().min(self.refused.get());
        admitted.clamp(1, STREAMS)
    }
}

/// Runs a connection until it takes no more requests.
async fn drive(driven: Driven, target: &Endpoint) {
    let ended = poll_fn(|cx| match &mut *driven.borrow_mut() {
        Some(connection) => Pin::new(connection).poll(cx),
        None => Poll::Ready(Ok(())),
    })
    .await;
    // What still waits in it goes back to who sent it.
    let over = driven.borrow_mut().take();
    drop(over);
    if let Err(error) = ended {
        tracing::debug!(target: "upstream", %target, %error, "connection takes no more requests");
    }
}

/// Streams that run go on; without any, a target that takes nothing must not keep the connection for ever.
async fn linger(first: Option<JoinHandle<()>>, active: &Cell<usize>) {
    let Some(mut socket) = first else { return };
    while timeout(LINGER, &mut socket).await.is_err() {
        if active.get() == 0 {
            socket.abort();
            return;
        }
    }
}

/// Runs what belongs to a connection on this worker, and remembers the first of it: what reads and writes the socket.
///
/// hyper asks a body for its first piece itself, and at once makes a task of sending it if that takes its time. So the
/// next task after a body was asked first, while it is there, is the one that sends it.
#[derive(Clone, Default)]
pub(super) struct Tasks(Rc<Begun>);

#[derive(Default)]
struct Begun {
    first: Cell<Option<JoinHandle<()>>>,
    begun: Cell<bool>,
    asked: RefCell<Option<Rc<Hand>>>,
}

impl Tasks {
    /// A body was asked for its first piece.
    pub(super) fn expect(&self, hand: &Rc<Hand>) {
        let before = self.0.asked.replace(Some(Rc::clone(hand)));
        drop(before);
    }

    /// A body is gone, so no task will send it.
    pub(super) fn expect_no_more(&self, hand: &Rc<Hand>) {
        let asked = &self.0.asked;
        let gone = asked.borrow_mut().take_if(|asked| Rc::ptr_eq(asked, hand));
        drop(gone);
    }
}

impl<F: Future + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        let sending = async move {
            future.await;
        };
        let task = spawn_local(panics::contained(Part::Upstream, sending));
        if let Some(hand) = self.0.asked.take() {
            hand.is_sent_by(task.abort_handle());
        }
        if !self.0.begun.replace(true) {
            self.0.first.set(Some(task));
        }
    }
}

/// A socket that says how often something was read.
pub(super) struct Watched {
    wire: Wire,
    reads: Rc<Reads>,
}

/// What was read from a socket.
struct Reads {
    /// How often something was.
    count: Cell<u64>,
    /// When last.
    last: Cell<Instant>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        if read.is_ready() {
            let reads = &self.reads;
            reads.count.set(reads.count.get().wrapping_add(1));
            reads.last.set(Instant::now());
        }
        read
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
