//! What a client's connection is doing, so that one timer can hold it to all its limits.
//!
//! The connection's task, its socket, its exchange and its request body share one record; all of them live on one
//! worker. It also carries the limit on the upstream's answer: a timer for each request would cost more than the rest
//! of forwarding does.
//!
//! In HTTP/2 a connection has many exchanges at once: each stream has a record of its own ([`streams`]), and the
//! connection's timer looks through them.

mod awaited;
mod deadline;
mod ending;
mod heard;
pub mod streams;

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Instant;

pub use self::deadline::Overdue;
pub use self::ending::Leave;
use self::heard::Heard;
pub use self::heard::LOOKED_AT;
use self::streams::{Many, Within};

/// What a connection is doing, or one stream of it.
#[derive(Debug)]
pub struct Activity {
    stage: Cell<Stage>,
    /// Since when the client has taken nothing of what is to be written.
    blocked: Cell<Option<Instant>>,
    /// Whether a request body is still coming, which may go on after its answer.
    body_open: Cell<bool>,
    /// Whether the end of a request body in chunks has not been seen.
    endless: Cell<bool>,
    /// Whether a request body was given up, so that bytes may come that nobody reads.
    unread: Cell<bool>,
    /// When the upstream must have answered.
    answer_due: Cell<Option<Instant>>,
    /// It has not.
    answer_late: Cell<bool>,
    /// When all of the exchange with the upstream must be over.
    total_due: Cell<Option<Instant>>,
    /// It is not.
    total_over: Cell<bool>,
    /// How many hooks of the running exchange wait for something.
    waiting: Cell<u32>,
    /// When to look whether the client is still there: while a hook waits, nobody may be reading what it sends.
    look_at: Cell<Option<Instant>>,
    /// It is time to look.
    look: Cell<bool>,
    /// Whether the connection rests: it has given back what only exchanges need.
    resting: Cell<bool>,
    /// Whether what the client has not taken is to be thrown away.
    given_up: Cell<bool>,
    /// Whether there are more connections than are served, and this is one of those too many.
    surplus: Cell<bool>,
    /// The generation of the running exchange.
    generation: Cell<u64>,
    /// Whether plugins still see the request body of an exchange whose answer is over.
    outlived: Cell<bool>,
    /// Since when the connection is to end after the running exchange.
    draining: Cell<Option<Instant>>,
    /// How soon.
    leave: Cell<Leave>,
    /// The beginning of the head that came last.
    heard: Heard,
    /// Of a connection its task, of a stream the stream's.
    waker: RefCell<Option<Waker>>,
    /// Of a connection that speaks HTTP/2: its streams.
    many: Many,
    /// Of a stream: where it belongs.
    within: Option<Within>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between two requests.
    Idle(Instant),
    /// A head has begun, or the connection is new.
    Head(Instant),
    /// An exchange is running.
    Exchange,
    /// The last answer is sent; what still comes is thrown away.
    Lingering(Instant),
}

impl Activity {
    /// A connection that was just accepted: its first head counts as begun.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            stage: Cell::new(Stage::Head(now)),
            blocked: Cell::new(None),
            body_open: Cell::new(false),
            endless: Cell::new(false),
            unread: Cell::new(false),
            answer_due: Cell::new(None),
            answer_late: Cell::new(false),
            total_due: Cell::new(None),
            total_over: Cell::new(false),
            waiting: Cell::new(0),
            look_at: Cell::new(None),
            look: Cell::new(false),
            resting: Cell::new(false),
            given_up: Cell::new(false),
            surplus: Cell::new(false),
            generation: Cell::new(0),
            outlived: Cell::new(false),
            draining: Cell::new(None),
            heard: Heard::default(),
            leave: Cell::new(Leave::Now),
            waker: RefCell::new(None),
            many: Many::default(),
            within: None,
        }
    }

    /// The handshakes are over, which have a limit of their own: its first head counts as begun now.
    pub fn shook_hands(&self, now: Instant) {
        self.stage.set(Stage::Head(now));
    }

    /// Bytes came in.
    pub fn read(&self) {
        if let (Stage::Idle(_), false, false) = (
            self.stage.get(),
            self.body_open.get(),
            self.is_multiplexed(),
        ) {
            // In HTTP/2 these may be frames that ask for nothing; a head is told from them where frames are read.
            self.stage.set(Stage::Head(Instant::now()));
        }
    }

    /// The client took some of what was written, or nothing.
    pub fn wrote(&self, blocked: bool) {
        match (blocked, self.blocked.get()) {
            (true, None) => self.blocked.set(Some(Instant::now())),
            (false, Some(_)) => {
                self.blocked.set(None);
                self.restart_idle();
            }
            _ => {}
        }
    }

    /// Whether the client did not take all of what was written last.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.get().is_some()
    }

    /// A request body is coming.
    pub fn body_begins(&self) {
        self.body_open.set(true);
    }

    /// Whether the request that begins has a body in chunks, of which only its end says how long it is.
    pub fn comes_in_chunks(&self, chunked: bool) {
        self.endless.set(chunked);
    }

    /// The end of the request body came.
    pub fn end_came(&self) {
        self.endless.set(false);
    }

    /// Whether the end of a request body in chunks is still to come, and with it perhaps trailers; also if it was given up.
    #[must_use]
    pub fn awaits_end(&self) -> bool {
        self.endless.get()
    }

    /// It is over, or was given up.
    pub fn body_ends(&self, complete: bool) {
        self.body_open.set(false);
        if complete {
            self.end_came();
        } else {
            self.unread.set(true);
        }
        self.restart_idle();
    }

    /// A head is complete.
    pub fn exchange_begins(&self) {
        self.heard.exchange_begins();
        self.outlived.set(false);
        self.stage.set(Stage::Exchange);
    }

    /// The exchange holds this generation.
    pub fn holds(&self, generation: u64) {
        self.generation.set(generation);
    }

    /// Whether plugins still see a request body whose answer is over.
    pub fn is_outlived(&self, outlived: bool) {
        self.outlived.set(outlived);
    }

    /// Whether an exchange runs that began before a generation; in HTTP/2 streams are asked.
    #[must_use]
    pub fn serves_before(&self, generation: u64) -> bool {
        !self.is_multiplexed()
            && (self.stage.get() == Stage::Exchange || self.outlived.get())
            && self.generation.get() < generation
    }

    /// Its answer is handed over.
    pub fn exchange_ends(&self, now: Instant) {
        self.limit_total(None);
        self.heard.exchange_ends();
        self.stage.set(Stage::Idle(now));
    }

    /// Whether the connection rests from now on, as none does that speaks HTTP/2.
    pub fn rests(&self, resting: bool) {
        if resting {
            self.forgets();
        }
        self.resting.set(resting);
    }

    /// The client takes nothing of its answer, and will be sent no more of it.
    pub fn gives_up(&self) {
        self.given_up.set(true);
    }

    /// Whether what it did not take is to be thrown away.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// Remembers whom [`Self::drain`] wakes, and a limit that comes nearer.
    pub fn watch(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Time to be idle begins when the last byte has gone either way.
    fn restart_idle(&self) {
        if let Stage::Idle(_) = self.stage.get() {
            self.stage.set(Stage::Idle(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests;
