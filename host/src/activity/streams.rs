//! The streams of a connection that speaks HTTP/2.
//!
//! Each has a record of its own, for what belongs to one exchange. There is still one timer for all of them: it is set to
//! the nearest limit any of them named, moves only when one names a nearer one, and when it fires the streams are looked
//! through once for what is really overdue. So a stream whose answer comes in time never touches a timer.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Activity, LINGER, Overdue, Stage};
use crate::config::ready::ClientTimeouts;

/// What a connection knows of its streams.
#[derive(Debug, Default)]
pub(super) struct Many {
    /// Whether it has streams at all: whether it speaks HTTP/2.
    spoken: Cell<bool>,
    open: RefCell<Vec<Weak<Activity>>>,
    /// The nearest limit that any of them named since they were last looked through.
    nearest: Cell<Option<Instant>>,
    /// When the connection's timer fires.
    timer: Cell<Option<Instant>>,
    /// Since when a head has been coming that is not complete.
    head: Cell<Option<Instant>>,
    /// Pieces of answers that were handed over since they were last counted.
    pieces: Cell<u32>,
    /// Whether the client sent too many frames that ask for nothing.
    flooded: Cell<bool>,
}

/// What a stream knows beyond what every exchange has.
#[derive(Debug)]
pub(super) struct Within {
    connection: Rc<Activity>,
    /// Its place in the connection's list.
    at: Cell<usize>,
    /// Pieces of its answer that were handed over and not written yet.
    out: Cell<usize>,
    /// Whether something of them was written since the stream was last looked at.
    moved: Cell<bool>,
    /// Whether nobody drives it any more: all of its answer was handed over.
    driven: Cell<bool>,
    /// Whether it is to be dropped.
    cut: Cell<bool>,
    /// Who sends its request body on through plugins, which may outlast its answer.
    pump: RefCell<Option<Waker>>,
}

/// What became of the streams that were looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// Those whose time had run out were told.
    Told,
    /// There are none but such as can neither go on nor be ended alone.
    Stuck,
}

impl Activity {
    /// From now on the connection speaks HTTP/2.
    pub fn speaks_in_streams(&self) {
        self.many.spoken.set(true);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.many.spoken.get()
    }

    /// The client has said how it wants to be spoken to: from here on it may be idle.
    pub fn settled(&self) {
        if let Stage::Head(_) = self.stage.get() {
            self.stage.set(Stage::Idle(Instant::now()));
        }
    }

    /// A head has begun on some stream; until it is complete no other stream can go on.
    pub fn head_comes(&self) {
        if self.many.head.get().is_none() {
            self.many.head.set(Some(Instant::now()));
        }
    }

    /// It is complete.
    pub fn head_came(&self) {
        self.many.head.set(None);
    }

    /// The client sent too many frames that ask for nothing.
    pub fn floods(&self) {
        self.many.flooded.set(true);
    }

    /// Whether it did.
    #[must_use]
    pub fn has_flooded(&self) -> bool {
        self.many.flooded.get()
    }

    /// The record of a new stream.
    #[must_use]
    pub fn stream(connection: &Rc<Self>) -> Rc<Self> {
        let open = &mut *connection.many.open.borrow_mut();
        let mut stream = Self::new(Instant::now());
        stream.within = Some(Within {
            connection: Rc::clone(connection),
            at: Cell::new(open.len()),
            out: Cell::new(0),
            moved: Cell::new(false),
            driven: Cell::new(true),
            cut: Cell::new(false),
            pump: RefCell::default(),
        });
        let stream = Rc::new(stream);
        open.push(Rc::downgrade(&stream));
        connection.stage.set(Stage::Exchange);
        stream
    }

    /// Of a stream: its connection.
    pub(super) fn connection(&self) -> Option<&Self> {
        self.within.as_ref().map(|within| &*within.connection)
    }

    /// Whether this is a stream, and not a connection.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.within.is_some()
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.many.open.borrow().len()
    }

    /// A piece of an answer goes to the connection's client, who may give the window for it back.
    pub fn piece_counts(&self) {
        let pieces = &self.many.pieces;
        pieces.set(pieces.get().saturating_add(1));
    }

    /// How many pieces were handed over since this was last asked.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.many.pieces.take()
    }

    /// A piece of a stream's answer was handed over; the client has `limit` to take some of it.
    pub fn piece_leaves(&self, limit: Duration) {
        let Some(within) = &self.within else { return };
        within.connection.piece_counts();
        within.out.set(within.out.get() + 1);
        if self.blocked.get().is_none() {
            let now = Instant::now();
            self.blocked.set(Some(now));
            if let Some(at) = now.checked_add(limit) {
                self.comes_nearer(at);
            }
        }
    }

    /// Some of it was written.
    pub fn piece_moves(&self) {
        if let Some(within) = &self.within {
            within.moved.set(true);
        }
    }

    /// All of it was written, or it was given up.
    pub fn piece_left(&self) {
        let Some(within) = &self.within else { return };
        within.out.set(within.out.get().saturating_sub(1));
        within.moved.set(true);
        if within.out.get() == 0 {
            self.blocked.set(None);
            if within.driven.get() {
                self.wake();
            }
        }
    }

    /// Whether pieces of the answer are still waiting to be written.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.within
            .as_ref()
            .is_some_and(|within| within.out.get() > 0)
    }

    /// Nobody drives the stream any more.
    pub fn driven_no_more(&self) {
        if let Some(within) = &self.within {
            within.driven.set(false);
        }
    }

    /// Whether the stream is to be dropped.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.within.as_ref().is_some_and(|within| within.cut.get())
    }

    fn cut(&self) {
        if let Some(within) = &self.within {
            within.cut.set(true);
            if let Some(pump) = within.pump.borrow_mut().take() {
                pump.wake();
            }
        }
        self.wake();
    }

    /// Remembers who is woken as well when the stream is to be dropped; whether it is.
    pub fn is_cut_for(&self, pump: &Waker) -> bool {
        let Some(within) = &self.within else {
            return false; // With the connection its body ends.
        };
        let mut known = within.pump.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(pump)) {
            *known = Some(pump.clone());
        }
        within.cut.get()
    }

    /// Whether the connection is to end after what runs, be this the connection or a stream of it.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let within = self.within.as_ref();
        self.is_draining() || within.is_some_and(|within| within.connection.is_draining())
    }

    /// Tells the streams of a connection that it is to end: some may have been waiting for something that is not worth it.
    pub(super) fn wake_streams(&self) {
        let open = self.many.open.borrow();
        let driven = open.iter().filter_map(Weak::upgrade);
        driven.for_each(|stream| stream.wake());
    }

    /// Ends all streams of a connection that has ended.
    pub fn cut_streams(&self) {
        let open = self.many.open.borrow();
        open.iter()
            .filter_map(Weak::upgrade)
            .for_each(|stream| stream.cut());
    }

    /// Ends the streams whose exchange began before a generation; how many there were. What nobody drives any more was
    /// answered, and only waits for its client, unless plugins still see its body.
    pub fn cut_before(&self, generation: u64) -> usize {
        let open = self.many.open.borrow();
        let driven = |stream: &Rc<Self>| {
            let within = stream.within.as_ref();
            let runs = |within: &Within| within.driven.get() || stream.outlived.get();
            within.is_some_and(|within| runs(within) && !within.cut.get())
        };
        let before = open.iter().filter_map(Weak::upgrade);
        let before = before.filter(|stream| driven(stream) && stream.serves_before(generation));
        before.map(|stream| stream.cut()).count()
    }

    /// The connection's timer was set.
    pub fn timer_is_set(&self, at: Instant) {
        self.many.timer.set(Some(at));
    }

    /// A stream names a limit. The connection's task is woken only if its timer would fire too late.
    pub(super) fn comes_nearer(&self, at: Instant) {
        let Some(within) = &self.within else { return };
        let connection = &within.connection;
        let many = &connection.many;
        if many.nearest.get().is_some_and(|nearest| nearest <= at) {
            return;
        }
        many.nearest.set(Some(at));
        if many.timer.get().is_none_or(|timer| at < timer) {
            connection.wake();
        }
    }

    pub(super) fn with_streams(
        &self,
        own: Option<(Instant, Overdue)>,
        limits: &ClientTimeouts,
    ) -> Option<(Instant, Overdue)> {
        let head = self.many.head.get();
        let head = head.and_then(|since| since.checked_add(limits.header));
        let streams = self.many.nearest.get();
        let others = [
            head.map(|at| (at, Overdue::Head)),
            streams.map(|at| (at, Overdue::Streams)),
        ];
        own.into_iter()
            .chain(others.into_iter().flatten())
            .min_by_key(|(at, _)| *at)
    }

    /// Looks at every stream: tells those whose time has run out, and finds the limit that comes next.
    pub fn look_through(&self, now: Instant, limits: &ClientTimeouts) -> Through {
        let mut next: Option<Instant> = None;
        let mut nearer = |at: Option<Instant>| {
            next = [next, at].into_iter().flatten().min();
        };
        let (mut stuck, mut going) = (false, false);
        for stream in self.many.open.borrow().iter().filter_map(Weak::upgrade) {
            let found = stream.look(now, limits);
            nearer(found.next);
            stuck |= found.stuck;
            going |= !found.stuck;
        }
        let told = self.is_draining();
        if stuck {
            // Nobody can reset what nobody drives. The client may finish what it has and must begin anew for more.
            nearer(now.checked_add(LINGER));
            self.drain();
        }
        self.many.nearest.set(next);
        if stuck && !going && told {
            Through::Stuck
        } else {
            Through::Told
        }
    }

    /// Looks at one stream.
    fn look(&self, now: Instant, limits: &ClientTimeouts) -> Found {
        let mut found = Found::default();
        let Some(within) = &self.within else {
            return found;
        };
        match self.answer_due.get() {
            Some(due) if due <= now => {
                self.answer_is_late();
                self.wake();
            }
            due => found.next = due,
        }
        self.look_at_total(now, &mut found);
        if within.moved.take() && self.blocked.get().is_some() {
            self.blocked.set(Some(now));
        }
        let taken = self.blocked.get();
        let taken = taken.and_then(|since| since.checked_add(limits.body));
        match taken {
            Some(due) if due <= now && within.driven.get() => self.cut(),
            Some(due) if due <= now => found.stuck = !self.body_open.get(),
            Some(due) => found.next = Some(found.next.map_or(due, |next| next.min(due))),
            None => {}
        }
        found
    }

    /// Tells the exchange if the time for all of it has run out. Nobody asks for more of an answer that the client takes
    /// nothing of, so there it is the stream that ends.
    fn look_at_total(&self, now: Instant, found: &mut Found) {
        match self.total_due.get() {
            Some(due) if due <= now => {
                self.total_is_over();
                if self.blocked.get().is_some() {
                    self.cut();
                } else {
                    self.wake();
                }
            }
            Some(due) => found.next = Some(found.next.map_or(due, |next| next.min(due))),
            None => {}
        }
    }

    /// A stream is over.
    fn forget(&self, at: usize) {
        let mut open = self.many.open.borrow_mut();
        if at < open.len() {
            open.swap_remove(at);
        }
        let moved = open.get(at).and_then(Weak::upgrade);
        if let Some(within) = moved.as_ref().and_then(|moved| moved.within.as_ref()) {
            within.at.set(at);
        }
        if open.is_empty()
            && let Stage::Exchange = self.stage.get()
        {
            self.stage.set(Stage::Idle(Instant::now()));
        }
    }
}

/// What one stream came to.
#[derive(Default)]
struct Found {
    next: Option<Instant>,
    stuck: bool,
}

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(within) = &self.within {
            within.connection.forget(within.at.get());
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

    fn connection() -> Rc<Activity> {
        let connection = Rc::new(Activity::new(Instant::now()));
        connection.speaks_in_streams();
        connection.settled();
        connection
    }

    fn due(activity: &Activity) -> Option<Overdue> {
        activity.deadline(&LIMITS).map(|(_, what)| what)
    }

    #[test]
    fn a_connection_is_idle_while_it_has_no_streams() {
        let connection = connection();
        assert_eq!(due(&connection), Some(Overdue::Idle));
        connection.read();
        assert_eq!(due(&connection), Some(Overdue::Idle), "a ping is no head");
        let streams: Vec<_> = (0..3).map(|_| Activity::stream(&connection)).collect();
        assert_eq!((due(&connection), connection.streams()), (None, 3));
        let [first, second, third] = streams.try_into().unwrap();
        drop(first);
        drop(third);
        drop(second);
        assert_eq!(
            (due(&connection), connection.streams()),
            (Some(Overdue::Idle), 0)
        );
        connection.drain();
        assert_eq!(due(&connection), Some(Overdue::Linger));
    }

    #[test]
    fn a_head_that_does_not_end_has_its_limit_beside_running_streams() {
        let connection = connection();
        let _stream = Activity::stream(&connection);
        connection.head_comes();
        assert_eq!(due(&connection), Some(Overdue::Head));
        connection.head_came();
        assert_eq!(due(&connection), None);
    }

    #[test]
    fn the_nearest_limit_is_found_and_only_who_is_late_is_told() {
        let connection = connection();
        let now = Instant::now();
        let (early, late) = (Activity::stream(&connection), Activity::stream(&connection));
        let at = |seconds| now.checked_add(Duration::from_secs(seconds));
        late.expect_answer(at(9));
        early.expect_answer(at(3));
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((at(3).unwrap(), Overdue::Streams))
        );
        assert_eq!(
            connection.look_through(at(3).unwrap(), &LIMITS),
            Through::Told
        );
        assert!(early.is_answer_late() && !late.is_answer_late());
        assert_eq!(
            connection.deadline(&LIMITS),
            Some((at(9).unwrap(), Overdue::Streams))
        );
    }

    #[test]
    fn an_answer_that_is_not_taken_ends_its_stream_alone() {
        let connection = connection();
        let (slow, stalled) = (Activity::stream(&connection), Activity::stream(&connection));
        slow.piece_leaves(LIMITS.body);
        stalled.piece_leaves(LIMITS.body);
        slow.piece_moves();
        let later = Instant::now() + LIMITS.body;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        assert!(!slow.is_cut() && stalled.is_cut());
        slow.piece_left();
        assert!(!slow.is_handing_over());
    }

    #[test]
    fn what_nobody_drives_ends_the_connection_once_nothing_else_runs() {
        let connection = connection();
        let (stuck, other) = (Activity::stream(&connection), Activity::stream(&connection));
        stuck.piece_leaves(LIMITS.body);
        stuck.driven_no_more();
        let mut later = Instant::now() + LIMITS.body;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Told);
        assert!(connection.is_draining(), "the client is told to begin anew");
        drop(other);
        later += LINGER;
        assert_eq!(connection.look_through(later, &LIMITS), Through::Stuck);
    }

    #[test]
    fn a_body_that_outlives_its_answer_ends_with_its_generation() {
        let connection = connection();
        let stream = Activity::stream(&connection);
        stream.exchange_begins();
        stream.holds(1);
        stream.body_begins();
        assert!(!stream.is_cut_for(Waker::noop()));
        stream.is_outlived(true);
        stream.exchange_ends(Instant::now());
        stream.driven_no_more();
        assert_eq!(connection.cut_before(1), 0);
        assert_eq!(connection.cut_before(2), 1);
        assert!(stream.is_cut_for(Waker::noop()));
        assert_eq!(connection.cut_before(2), 0, "once");
    }
}
