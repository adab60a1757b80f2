//! The connections to one target that carry many requests each, and who waits for room on them.
//!
//! A request is handed to a connection only where there is room: what hyper is given beyond that it keeps, whether or not
//! anybody still wants the answer. So requests wait here, where they can be called off and are counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::line::Line;
use super::ticket::Ticket;
use crate::upstream::dial::Failed;

/// How many connections with streams are opened to one target; more requests than they carry wait.
const LINES: usize = 16;
/// How many requests wait for room with one target.
const WAITING: usize = 10_000;
/// How long a connect that failed is not repeated while requests may wait for room on a connection that is there.
const REST: Duration = Duration::from_secs(1);

/// Who waits for a stream.
#[derive(Debug, Default)]
pub struct Room {
    changed: Notify,
    waiting: Cell<usize>,
}

impl Room {
    /// A stream ended, or a connection did: whoever waits longest looks whether that helps.
    pub fn changes(&self) {
        if self.waiting.get() > 0 {
            self.changed.notify_one();
        }
    }

    /// A connect ended without room for anybody, which all have to know.
    fn all_look(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until something changes.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiting(Rc<Room>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}

/// The connections to one target that carry many requests each.
#[derive(Debug, Default)]
pub struct Lines {
    /// In use or not.
    lines: RefCell<Vec<Rc<Line>>>,
    /// Who waits for a stream of one.
    pub room: Rc<Room>,
    /// How many connects were begun; the last one may still run.
    dials: Cell<u64>,
    dialling: Cell<bool>,
    /// The last connect that came to nothing, and what it said.
    failed: RefCell<Option<(u64, Failed)>>,
    /// Until when none is tried again while connections are there.
    rests: Cell<Option<Instant>>,
}

/// A connect that runs. However it ends, another one may then begin.
pub struct Dial {
    lines: Rc<Lines>,
    number: u64,
}

impl Lines {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.borrow().is_empty()
    }

    /// Lets go of all of them: each ends with the last exchange that uses it. One that is opened later for an exchange
    /// that began before is kept as ever.
    pub fn let_go(&self) {
        drop(self.lines.take());
    }

    /// Lets go of those that end or were not used for so many sweeps.
    pub fn sweep(&self, now: u32, sweeps: u32) {
        self.lines.borrow_mut().retain(|line| {
            if line.active() > 0 {
                line.used.set(now);
            }
            line.is_usable() && now.wrapping_sub(line.used.get()) < sweeps
        });
    }

    /// A stream of the oldest connection that has room, so that those which are not needed grow old.
    pub fn stream(&self, now: u32) -> Option<Ticket> {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.is_usable());
        let line = lines.iter().find(|line| line.has_room())?;
        line.used.set(now);
        Some(Ticket::new(line))
    }

    /// Whether nobody waits who would be overtaken.
    pub fn is_calm(&self) -> bool {
        self.room.waiting.get() == 0
    }

    /// Keeps a new connection; not if there are as many as may be, and then it ends with the one request it gets.
    pub fn push(&self, line: &Rc<Line>) {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.is_usable());
        if lines.len() < LINES {
            lines.push(Rc::clone(line));
        }
    }

    /// Waits from now on; none if too many do.
    pub fn wait(&self) -> Option<Waiting> {
        let waiting = self.room.waiting.get();
        if waiting >= WAITING {
            return None;
        }
        // The target may admit more than it did when those in front looked.
        if self.has_room() {
            self.room.changes();
        }
        self.room.waiting.set(waiting.saturating_add(1));
        Some(Waiting(Rc::clone(&self.room)))
    }

    /// Whether one is there that takes requests, if not now.
    pub fn is_served(&self) -> bool {
        self.lines.borrow().iter().any(|line| line.is_usable())
    }

    /// The connect that runs, or the next one, which is to be run; none if there are as many connections as may be.
    pub fn dial(self: &Rc<Self>) -> Option<(u64, Option<Dial>)> {
        let number = self.dials.get();
        if self.dialling.get() {
            return Some((number, None));
        }
        let usable = |line: &&Rc<Line>| line.is_usable();
        let lines = self.lines.borrow().iter().filter(usable).count();
        let rests = || self.rests.get().is_some_and(|until| Instant::now() < until);
        if lines >= LINES || (lines > 0 && rests()) {
            return None;
        }
        let number = number.wrapping_add(1);
        self.dials.set(number);
        self.dialling.set(true);
        let lines = Rc::clone(self);
        Some((number, Some(Dial { lines, number })))
    }

    /// What became of a connect, or of one after it, if nothing did.
    pub fn failure(&self, number: u64) -> Option<Failed> {
        let failed = self.failed.borrow();
        let (last, failed) = failed.as_ref()?;
        (*last >= number).then(|| failed.again())
    }

    /// Somebody was served: is anybody else to look?
    pub fn pass_on(&self) -> bool {
        let others = self.room.waiting.get() > 0;
        if others && self.has_room() {
            self.room.changes();
        }
        others && !self.has_room()
    }

    /// Whether one takes a request now.
    pub fn has_room(&self) -> bool {
        let lines = self.lines.borrow();
        lines.iter().any(|line| line.is_usable() && line.has_room())
    }
}

impl Dial {
    /// It came to nothing.
    pub fn failed(self, failed: Failed) {
        self.lines.rests.set(Instant::now().checked_add(REST));
        let before = self.lines.failed.replace(Some((self.number, failed)));
        drop(before);
        let room = Rc::clone(&self.lines.room);
        drop(self);
        room.all_look();
    }

    /// It came to something that nobody shares.
    pub fn is_for_one(self) {
        let room = Rc::clone(&self.lines.room);
        drop(self);
        room.all_look();
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.lines.dialling.set(false);
        self.lines.room.changes();
    }
}
