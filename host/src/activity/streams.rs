//! The streams of a connection that speaks HTTP/2.
//!
//! Each has a record of its own, for what belongs to one exchange. There is still one timer for all of them: it is set to
//! the nearest limit any of them named, moves only when one names a nearer one, and when it fires the streams are looked
//! through once for what is really overdue. So a stream whose answer comes in time never touches a timer.

mod cut;
mod look;
mod pieces;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Instant;

pub use self::look::Through;
use super::{Activity, Stage};

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
    /// Whether somebody drives it, as nobody does once all of its answer was handed over.
    driven: Cell<bool>,
    /// Whether it is to be dropped.
    cut: Cell<bool>,
    /// Who sends its request body on through plugins, which may outlast its answer.
    pump: RefCell<Option<Waker>>,
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

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(within) = &self.within {
            within.connection.forget(within.at.get());
        }
    }
}
#[cfg(test)]
mod tests;
