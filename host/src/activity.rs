//! What a client's connection is doing, so that one timer can hold it to all its limits.
//!
//! The connection's task, its socket, its exchange and its request body share one record; all of them live on one
//! worker. It also carries the limit on the upstream's answer: a timer for each request would cost more than the rest
//! of forwarding does.
//!
//! In HTTP/2 a connection has many exchanges at once: each stream has a record of its own ([`streams`]), and the
//! connection's timer looks through them.

mod heard;
pub mod streams;

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use self::heard::Heard;
use self::streams::{Many, Within};
use crate::config::ready::ClientTimeouts;

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
    /// The beginning of the head that came last.
    heard: Heard,
    /// How soon.
    leave: Cell<Leave>,
    /// Of a connection its task, of a stream the stream's.
    waker: RefCell<Option<Waker>>,
    /// Of a connection that speaks HTTP/2: its streams.
    many: Many,
    /// Of a stream: where it belongs.
    within: Option<Within>,
}

/// How soon a connection that is to end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After the running exchange; at once where none runs.
    Now,
    /// After the next answer, which says so; if none is asked for in a while, then. HTTP/2 has a way of its own to end
    /// without a loss, and takes it at once.
    Soon,
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

/// What a connection has overdone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// No request for too long.
    Idle,
    /// No request for a moment; the connection rests until one comes.
    Quiet,
    /// A head that does not end.
    Head,
    /// An answer that is not taken.
    Answer,
    /// The upstream has not answered; the exchange is told, the connection lives on.
    Upstream,
    /// The exchange with the upstream is not over; the exchange is told.
    Total,
    /// A hook waits, and the client may be gone; the connection looks, and lives on if it is not.
    Look,
    /// It still sends after its last answer.
    Linger,
    /// Streams; the connection looks through them, and lives on.
    Streams,
}

/// How long a connection is idle before it rests. Short, for memory is needed by those that come meanwhile; long enough that
/// one which is used at all keeps what it has.
const QUIET: Duration = Duration::from_millis(100);

/// How often a client is looked for while a hook waits.
const LOOK: Duration = Duration::from_millis(250);

/// How long a closing connection may still send. As nginx's `lingering_timeout`, but short: it is a courtesy.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client may be silent before it asks for the last time on a connection that is to end soon. Whoever kept it open
/// for longer asks as seldom as it finds one closed by the time for idle ones.
const ONCE_MORE: Duration = Duration::from_secs(5);

/// How long a client of HTTP/2 may go on to ask after it was told to end: hyper names the last stream only once the client
/// answered a PING, and one that does not could go on for ever.
const LISTENS: Duration = Duration::from_secs(3);

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

    /// The upstream has until `due` for the head of its answer; none: there is nothing to wait for any more.
    pub fn expect_answer(&self, due: Option<Instant>) {
        self.answer_due.set(due);
        self.answer_late.set(false);
        if let Some(due) = due {
            self.comes_nearer(due);
        }
    }

    /// Whether the upstream's time has run out.
    #[must_use]
    pub fn is_answer_late(&self) -> bool {
        self.answer_late.get()
    }

    /// Notes that the upstream's time has run out.
    pub fn answer_is_late(&self) {
        self.answer_due.set(None);
        self.answer_late.set(true);
    }

    /// All of the exchange with the upstream has until `due`; none: there is no limit, or it is over.
    pub fn limit_total(&self, due: Option<Instant>) {
        self.total_due.set(due);
        self.total_over.set(false);
        if let Some(due) = due {
            self.comes_nearer(due);
        }
    }

    /// Whether the time for all of it has run out.
    #[must_use]
    pub fn is_total_over(&self) -> bool {
        self.total_over.get()
    }

    /// Notes that the time for all of it has run out.
    pub fn total_is_over(&self) {
        self.total_due.set(None);
        self.total_over.set(true);
    }

    /// A hook of the running exchange waits for something.
    pub fn wait_begins(&self) {
        self.waiting.set(self.waiting.get().saturating_add(1));
        if self.is_stream() {
            return; // A connection that speaks HTTP/2 is always read, and a stream whose client left is dropped.
        }
        self.look_at.set(Instant::now().checked_add(LOOK));
    }

    /// It has what it waited for.
    pub fn wait_ends(&self) {
        let left = self.waiting.get().saturating_sub(1);
        self.waiting.set(left);
        if left == 0 {
            self.look_at.set(None);
            self.look.set(false);
        }
    }

    /// It is time to look for the client, and again after a while.
    pub fn look_is_due(&self, now: Instant) {
        self.look_at.set(now.checked_add(LOOK));
        self.look.set(true);
    }

    /// Whether to look for the client now; says so once.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.look.replace(false)
    }

    /// Whether the client may still be sending when the connection closes: closing at once would reset it, and it
    /// could lose the answer (RFC 9112, 9.6). Says so once.
    pub fn lingers(&self) -> bool {
        // In HTTP/2 a client may always be sending: window updates for what it has just been given, for example.
        let sending = self.unread.get()
            || self.is_multiplexed()
            || matches!(self.stage.get(), Stage::Head(_));
        if sending {
            self.stage.set(Stage::Lingering(Instant::now()));
        }
        sending
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

    /// Asks the connection to end after the running exchange.
    pub fn drain(&self) {
        self.leave(Leave::Now);
    }

    /// Asks the connection to end.
    pub fn leave(&self, leave: Leave) {
        self.leave.set(leave);
        if self.draining.get().is_none() {
            self.draining.set(Some(Instant::now()));
        }
        self.wake();
        self.wake_streams();
    }

    /// Whether the connection is to end after the running exchange.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Whether the connection is to end without another request.
    #[must_use]
    pub fn must_end(&self) -> bool {
        self.is_draining() && (self.leave.get() == Leave::Now || self.is_multiplexed())
    }

    /// Since when the connection has been kept for nothing but another request; none if something is under way.
    #[must_use]
    pub fn idle_since(&self) -> Option<Instant> {
        match self.stage.get() {
            Stage::Idle(since) if self.is_free() && !self.is_draining() => Some(since),
            _ => None,
        }
    }

    /// Whether the connection was told to end and nothing is under way that it waits for: it is gone in a moment.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let at_the_end = matches!(self.stage.get(), Stage::Idle(_) | Stage::Lingering(_));
        at_the_end && self.must_end() && self.is_free()
    }

    fn is_free(&self) -> bool {
        self.streams() == 0 && !self.body_open.get() && !self.is_blocked()
    }

    /// Says whether this connection is one too many.
    pub fn is_too_many(&self, surplus: bool) {
        self.surplus.set(surplus);
    }

    /// Whether the connection is one too many, also of a stream.
    #[must_use]
    pub fn is_surplus(&self) -> bool {
        self.surplus.get() || self.connection().is_some_and(|own| own.surplus.get())
    }

    /// Asks the connection to end after what runs, also of a stream.
    pub fn drain_connection(&self) {
        self.connection().unwrap_or(self).drain();
    }

    /// Whether it was told to end so long ago that no request is on its way any more from a client that listens.
    #[must_use]
    pub fn is_deaf(&self, now: Instant) -> bool {
        let told = self.draining.get();
        told.is_some_and(|told| now.saturating_duration_since(told) >= LISTENS)
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Remembers whom [`Self::drain`] wakes, and a limit that comes nearer.
    pub fn watch(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// When the connection will have overdone something, and what; none while nothing is waited for.
    #[must_use]
    pub fn deadline(&self, limits: &ClientTimeouts) -> Option<(Instant, Overdue)> {
        let own = self.own_deadline(limits);
        if self.is_multiplexed() {
            self.with_streams(own, limits)
        } else {
            own
        }
    }

    fn own_deadline(&self, limits: &ClientTimeouts) -> Option<(Instant, Overdue)> {
        let after =
            |since: Instant, limit: Duration, what| since.checked_add(limit).map(|at| (at, what));
        let total = self.total_due.get().map(|at| (at, Overdue::Total));
        let nearest = |limits: [Option<(Instant, Overdue)>; 3]| {
            limits.into_iter().flatten().min_by_key(|(at, _)| *at)
        };
        if let Some(since) = self.blocked.get() {
            return nearest([after(since, limits.body, Overdue::Answer), total, None]);
        }
        match self.stage.get() {
            // The body has a limit of its own, on whoever reads it.
            Stage::Idle(_) if self.body_open.get() => None,
            // The client was told to open no more streams, and has none; it ought to close.
            Stage::Idle(since) if self.is_multiplexed() && self.is_draining() => {
                let told = self.draining.get().map_or(since, |told| told.max(since));
                after(told, LINGER, Overdue::Linger)
            }
            Stage::Idle(since) if self.is_draining() => {
                let told = self.draining.get().map_or(since, |told| told.max(since));
                after(told, limits.idle.min(ONCE_MORE), Overdue::Idle)
            }
            Stage::Idle(since) if limits.idle > QUIET && self.may_rest() => {
                after(since, QUIET, Overdue::Quiet)
            }
            Stage::Idle(since) => after(since, limits.idle, Overdue::Idle),
            Stage::Head(since) => after(since, limits.header, Overdue::Head),
            Stage::Exchange => {
                let answer = self.answer_due.get().map(|at| (at, Overdue::Upstream));
                let look = self.look_at.get().map(|at| (at, Overdue::Look));
                nearest([answer, look, total])
            }
            Stage::Lingering(since) => after(since, LINGER, Overdue::Linger),
        }
    }

    /// Whether there is something to give back: hyper holds nothing of a request that came, or of an answer.
    fn may_rest(&self) -> bool {
        !self.resting.get()
            && !self.unread.get()
            && !self.is_draining()
            && !self.is_multiplexed()
            && !self.is_stream()
    }

    /// Time to be idle begins when the last byte has gone either way.
    fn restart_idle(&self) {
        if let Stage::Idle(_) = self.stage.get() {
            self.stage.set(Stage::Idle(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClientTimeouts = ClientTimeouts {
        handshake: Duration::from_secs(10),
        header: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };

    fn due(activity: &Activity) -> Option<Overdue> {
        activity.deadline(&LIMITS).map(|(_, what)| what)
    }

    #[test]
    fn each_stage_has_its_limit() {
        let activity = Activity::new(Instant::now());
        assert_eq!(due(&activity), Some(Overdue::Head));
        activity.exchange_begins();
        activity.read();
        assert_eq!(due(&activity), None);
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer));
        activity.wrote(false);
        activity.expect_answer(Some(Instant::now()));
        assert_eq!(due(&activity), Some(Overdue::Upstream));
        activity.answer_is_late();
        assert!(activity.is_answer_late());
        assert_eq!(due(&activity), None);
        activity.limit_total(Some(Instant::now()));
        assert_eq!(due(&activity), Some(Overdue::Total));
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Total), "it runs on");
        activity.wrote(false);
        activity.total_is_over();
        assert!(activity.is_total_over());
        assert_eq!(due(&activity), None);
        activity.body_begins();
        activity.exchange_ends(Instant::now());
        assert!(!activity.is_total_over(), "that was the one before");
        activity.read();
        assert_eq!(
            due(&activity),
            None,
            "a body that outlives its answer is no head"
        );
        activity.body_ends(true);
        assert_eq!(due(&activity), Some(Overdue::Quiet));
        activity.rests(true);
        assert_eq!(due(&activity), Some(Overdue::Idle));
        activity.rests(false);
        activity.read();
        let first = activity.deadline(&LIMITS);
        activity.read();
        assert_eq!(
            activity.deadline(&LIMITS),
            first,
            "more bytes of a head give it no more time"
        );
    }

    #[test]
    fn only_who_holds_nothing_rests() {
        let idle = || {
            let activity = Activity::new(Instant::now());
            activity.exchange_begins();
            activity.exchange_ends(Instant::now());
            activity
        };
        assert_eq!(due(&idle()), Some(Overdue::Quiet));
        let activity = idle();
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer));
        let activity = idle();
        activity.body_begins();
        assert_eq!(due(&activity), None);
        activity.body_ends(false);
        assert_eq!(due(&activity), Some(Overdue::Idle), "bytes may come");
        let activity = idle();
        activity.drain();
        assert_eq!(due(&activity), Some(Overdue::Idle));
        let activity = idle();
        activity.speaks_in_streams();
        assert_eq!(due(&activity), Some(Overdue::Idle));
    }

    #[test]
    fn who_was_told_to_end_is_heard_for_a_while() {
        let activity = Activity::new(Instant::now());
        assert!(!activity.is_deaf(Instant::now() + LISTENS), "it goes on");
        activity.drain();
        assert!(!activity.is_deaf(Instant::now()));
        assert!(activity.is_deaf(Instant::now() + LISTENS));
    }

    #[test]
    fn a_client_is_looked_for_while_a_hook_waits() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        activity.wait_begins();
        activity.wait_begins();
        assert_eq!(due(&activity), Some(Overdue::Look));
        activity.look_is_due(Instant::now());
        assert!(activity.looks());
        assert!(!activity.looks(), "once");
        activity.wait_ends();
        assert_eq!(due(&activity), Some(Overdue::Look));
        activity.wait_ends();
        assert_eq!(due(&activity), None);
    }

    #[test]
    fn an_exchange_serves_its_generation_until_plugins_see_nothing_of_it() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        activity.holds(1);
        assert!(activity.serves_before(2) && !activity.serves_before(1));
        activity.is_outlived(true);
        activity.exchange_ends(Instant::now());
        assert!(activity.serves_before(2), "its body still comes");
        activity.is_outlived(false);
        assert!(!activity.serves_before(2));
    }

    #[test]
    fn only_who_may_still_send_is_waited_for() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        activity.exchange_ends(Instant::now());
        assert!(!activity.lingers());
        activity.body_ends(false);
        assert!(activity.lingers());
        assert_eq!(due(&activity), Some(Overdue::Linger));
    }
}
