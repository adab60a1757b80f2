//! The way of a worker to a gate, a place that was got there, and one in its queue.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Gate, Told};

/// One worker's way to a gate, so that a request touches no reference count that workers share.
#[derive(Debug)]
pub struct Door(Arc<Gate>);

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Permit(Rc<Door>);

/// What somebody who asks for a place gets.
#[derive(Debug)]
pub enum Asked {
    /// A place.
    Enter(Permit),
    /// A place in the queue.
    Wait(Waiting),
    /// Nothing: as many wait as may.
    Full,
}

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub struct Waiting {
    place: InQueue,
    pub(super) called: oneshot::Receiver<()>,
    /// How long to wait.
    pub patience: Duration,
}

impl Door {
    /// A way to this gate.
    #[must_use]
    pub fn new(gate: &Arc<Gate>) -> Rc<Self> {
        Rc::new(Self(Arc::clone(gate)))
    }

    /// Where it leads.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.0
    }

    /// Asks for a place.
    #[must_use]
    pub fn ask(self: &Rc<Self>) -> Asked {
        match self.0.ask() {
            Told::Enter => Asked::Enter(Permit(Rc::clone(self))),
            Told::Full => Asked::Full,
            Told::Wait(ticket, called, patience) => Asked::Wait(Waiting {
                place: InQueue {
                    door: Rc::clone(self),
                    ticket: Some(ticket),
                },
                called,
                patience,
            }),
        }
    }

    /// A place if there is one at once, for those that are not worth waiting for.
    #[must_use]
    pub fn try_enter(self: &Rc<Self>) -> Option<Permit> {
        self.0.try_enter().then(|| Permit(Rc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.leave();
    }
}

impl Waiting {
    /// Waits for a place; none if none came free in time.
    pub async fn wait(mut self) -> Option<Permit> {
        let called = tokio::time::timeout(self.patience, self.called).await;
        let ticket = self.place.ticket.take()?;
        let door = &self.place.door;
        // A place that was handed over at the last moment is a place.
        if called.is_err() && door.0.withdraw(ticket) {
            door.0.late.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit(Rc::clone(door)))
    }
}

#[derive(Debug)]
struct InQueue {
    door: Rc<Door>,
    ticket: Option<u64>,
}

impl Drop for InQueue {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket
            && !self.door.0.withdraw(ticket)
        {
            self.door.0.leave();
        }
    }
}
