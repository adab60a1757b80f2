//! How many requests run at once in the whole process, and who waits for that.
//!
//! One number holds how many run and how many wait, so that going in and out of a gate at which nobody waits is one atomic
//! step each. While somebody waits, everybody goes through the lock of the queue: nobody gets ahead of those who wait, and
//! who leaves hands the place to the one who came first. The number of places may change at any time; with fewer of them,
//! those who leave hand nothing on until enough have left.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

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

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub struct Waiting {
    place: InQueue,
    called: oneshot::Receiver<()>,
    /// How long to wait.
    pub patience: Duration,
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn limits(requests: usize, queue: usize) -> Concurrency {
        Concurrency {
            requests,
            queue,
            wait: Duration::from_secs(3600),
        }
    }

    fn door(requests: usize, queue: usize) -> Rc<Door> {
        let gate = Gate::new(Arc::from("users"), limits(requests, queue));
        Door::new(&Arc::new(gate))
    }

    #[track_caller]
    fn enter(door: &Rc<Door>) -> Permit {
        match door.ask() {
            Asked::Enter(permit) => permit,
            other => panic!("no place: {other:?}"),
        }
    }

    #[track_caller]
    fn queue(door: &Rc<Door>) -> Waiting {
        match door.ask() {
            Asked::Wait(waiting) => waiting,
            other => panic!("no queue: {other:?}"),
        }
    }

    #[track_caller]
    fn check(door: &Rc<Door>, in_flight: u64, waiting: u64) {
        let figures = door.gate().figures();
        assert_eq!((figures.in_flight, figures.waiting), (in_flight, waiting));
    }

    fn called(waiting: &mut Waiting) -> bool {
        waiting.called.try_recv().is_ok()
    }

    #[test]
    fn no_more_than_places_and_room() {
        let door = door(2, 1);
        let (one, two) = (enter(&door), enter(&door));
        let mut third = queue(&door);
        assert!(matches!(door.ask(), Asked::Full));
        assert!(door.try_enter().is_none());
        check(&door, 2, 1);
        drop(one);
        assert!(called(&mut third));
        check(&door, 2, 0);
        drop((two, third));
        check(&door, 0, 0);
    }

    #[test]
    fn who_came_first_is_first_and_who_left_is_passed_over() {
        let door = door(1, 3);
        let one = enter(&door);
        let (mut a, b, mut c) = (queue(&door), queue(&door), queue(&door));
        drop(b);
        check(&door, 1, 2);
        drop(one);
        assert!(called(&mut a) && !called(&mut c));
        drop(a);
        assert!(called(&mut c), "a place that nobody took goes on");
        check(&door, 1, 0);
    }

    #[test]
    fn more_and_fewer_places_keep_the_count() {
        let door = door(1, 9);
        let first = enter(&door);
        let (mut a, mut b, mut c) = (queue(&door), queue(&door), queue(&door));
        door.gate().set(limits(3, 9));
        assert!(called(&mut a) && called(&mut b) && !called(&mut c));
        check(&door, 3, 1);
        door.gate().set(limits(1, 0));
        drop((first, a));
        check(&door, 1, 1);
        assert!(!called(&mut c));
        drop(b);
        assert!(called(&mut c));
        check(&door, 1, 0);
        assert!(matches!(door.ask(), Asked::Full));
        drop(c);
        check(&door, 0, 0);
    }

    #[tokio::test]
    async fn patience_has_an_end() {
        let door = door(1, 1);
        let soon = Duration::from_millis(1);
        let concurrency = Concurrency {
            wait: soon,
            ..limits(1, 1)
        };
        door.gate().set(concurrency);
        let one = enter(&door);
        assert!(queue(&door).wait().await.is_none());
        check(&door, 1, 0);
        assert_eq!(door.gate().figures().late, 1);
        door.gate().set(limits(1, 1));
        let waiting = queue(&door);
        drop(one);
        assert!(waiting.wait().await.is_some());
        check(&door, 0, 0);
    }

    #[test]
    fn threads_that_come_wait_and_leave_never_exceed_it() {
        const PLACES: usize = 3;
        let gate = Arc::new(Gate::new(Arc::from("users"), limits(PLACES, 1000)));
        let (now, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (gate, now, served) = (&gate, &now, &served);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = { runtime }.enable_time().build().unwrap();
                    let work = async {
                        let door = Door::new(gate);
                        let one = |number: usize| {
                            let door = Rc::clone(&door);
                            let (now, served) = (Arc::clone(now), Arc::clone(served));
                            async move {
                                let permit = match door.ask() {
                                    Asked::Enter(permit) => permit,
                                    Asked::Wait(waiting) if number % 7 == thread => {
                                        return drop(waiting);
                                    }
                                    Asked::Wait(waiting) => waiting.wait().await.unwrap(),
                                    Asked::Full => panic!("there is room"),
                                };
                                assert!(now.fetch_add(1, Ordering::SeqCst) < PLACES);
                                tokio::task::yield_now().await;
                                now.fetch_sub(1, Ordering::SeqCst);
                                served.fetch_add(1, Ordering::SeqCst);
                                drop(permit);
                            }
                        };
                        let tasks = tokio::task::LocalSet::new();
                        for round in 0..200 {
                            (0..10).for_each(|number| {
                                tasks.spawn_local(one(round * 10 + number));
                            });
                        }
                        tasks.await;
                    };
                    runtime.block_on(work);
                });
            }
        });
        assert!(served.load(Ordering::SeqCst) > 4 * 200);
        let figures = gate.figures();
        assert_eq!((figures.in_flight, figures.waiting), (0, 0));
    }
}
