//! How many requests run at once in the whole process, and who waits for that.
//!
//! One number holds how many run and how many wait, so that going in and out of a gate at which nobody waits is one atomic
//! step each. While somebody waits, everybody goes through the lock of the queue: nobody gets ahead of those who wait, and
//! who leaves hands the place to the one who came first. The number of places may change at any time; with fewer of them,
//! those who leave hand nothing on until enough have left.

mod door;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

pub use self::door::{Asked, Door, Permit, Waiting};
use crate::config::ready::Concurrency;

/// One that waits, in [`Gate::state`]; those that run stand below.
const WAITING: u64 = 1 << 32;
const RUNNING: u64 = WAITING - 1;

/// A limit, in the whole process.
#[derive(Debug)]
pub struct Gate {
    /// Whose it is.
    pub name: Arc<str>,
    /// How many run and how many wait. While somebody waits, it is changed only under the lock of the queue.
    state: AtomicU64,
    /// How many may run; changed only under the lock of the queue.
    places: AtomicU64,
    queue: Mutex<Queue>,
    full: AtomicU64,
    late: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    /// Those who wait, by the order in which they came.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
    /// How many may wait.
    room: usize,
    /// How long.
    patience: Duration,
}

/// What a gate stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Requests that run.
    pub in_flight: u64,
    /// Requests that wait.
    pub waiting: u64,
    /// How many may run.
    pub limit: u64,
    /// Requests refused because as many waited as may.
    pub full: u64,
    /// Requests refused because they waited for too long.
    pub late: u64,
}

/// What somebody who asks is told.
enum Told {
    Enter,
    Full,
    Wait(u64, oneshot::Receiver<()>, Duration),
}

impl Gate {
    /// A gate that nobody went through.
    #[must_use]
    pub fn new(name: Arc<str>, concurrency: Concurrency) -> Self {
        Self {
            name,
            state: AtomicU64::new(0),
            places: AtomicU64::new(concurrency.requests as u64),
            queue: Mutex::new(Queue {
                waiting: BTreeMap::new(),
                next: 0,
                room: concurrency.queue,
                patience: concurrency.wait,
            }),
            full: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    /// From now on it admits that many; those who wait get the places that come free by that.
    pub fn set(&self, concurrency: Concurrency) {
        {
            let mut queue = self.lock();
            queue.room = concurrency.queue;
            queue.patience = concurrency.wait;
            let places = concurrency.requests as u64;
            self.places.store(places, Ordering::Release);
        }
        loop {
            let next = self.next(&mut self.lock());
            let Some(next) = next else { return };
            // Whoever has just left gives the place back.
            let _ = next.send(());
        }
    }

    /// What it stands at.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let state = self.state.load(Ordering::Relaxed);
        Figures {
            in_flight: state & RUNNING,
            waiting: state / WAITING,
            limit: self.places.load(Ordering::Relaxed),
            full: self.full.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
        }
    }

    /// How long one may wait.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.lock().patience
    }

    /// Takes a place if there is one and nobody waits for it.
    fn try_enter(&self) -> bool {
        let places = self.places.load(Ordering::Acquire);
        let more = |state: u64| (state < places).then_some(state + 1);
        // With somebody who waits, the number is larger than any number of places.
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    fn ask(&self) -> Told {
        if self.try_enter() {
            return Told::Enter;
        }
        let mut queue = self.lock();
        if queue.waiting.len() >= queue.room {
            // Under the lock, too, for the last place may have come free just now.
            if self.try_enter() {
                return Told::Enter;
            }
            drop(queue);
            self.full.fetch_add(1, Ordering::Relaxed);
            return Told::Full;
        }
        let places = self.places.load(Ordering::Acquire);
        let waits = |state: u64| Some(state + if state < places { 1 } else { WAITING });
        let before = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, waits);
        if before.is_ok_and(|state| state < places) {
            return Told::Enter;
        }
        let (call, called) = oneshot::channel();
        let ticket = queue.next;
        queue.next = ticket.wrapping_add(1);
        queue.waiting.insert(ticket, call);
        Told::Wait(ticket, called, queue.patience)
    }

    /// Gives a place up: to the first one who waits, if there is somebody.
    fn leave(&self) {
        let alone = |state: u64| (state < WAITING).then(|| state.saturating_sub(1));
        let left = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, alone);
        if left.is_ok() {
            return;
        }
        let next = {
            let mut queue = self.lock();
            self.state.fetch_sub(1, Ordering::AcqRel);
            self.next(&mut queue)
        };
        if let Some(next) = next {
            // Whoever has just left gives the place back.
            let _ = next.send(());
        }
    }

    /// Gives a free place to the first one who waits, who has to be told.
    fn next(&self, queue: &mut Queue) -> Option<oneshot::Sender<()>> {
        let running = self.state.load(Ordering::Acquire) & RUNNING;
        if running >= self.places.load(Ordering::Acquire) {
            return None;
        }
        let (_, next) = queue.waiting.pop_first()?;
        self.state.fetch_sub(WAITING - 1, Ordering::AcqRel);
        Some(next)
    }

    /// Takes somebody out of the queue; whether there still was one there, and no place was handed over.
    fn withdraw(&self, ticket: u64) -> bool {
        let mut queue = self.lock();
        let waited = queue.waiting.remove(&ticket).is_some();
        if waited {
            self.state.fetch_sub(WAITING, Ordering::AcqRel);
        }
        waited
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
