//! What becomes of connections when there are more than are served.
//!
//! Those that are idle make room, the longest idle first, as nginx has them do. Where none is, a connection that comes is one
//! too many: a few of them are let in, and their first request is answered with 503. When one of the others ends, the
//! oldest of those too many takes its place.

use std::os::fd::{AsFd, AsRawFd as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::connections::Connections;
use crate::activity::Activity;
use crate::local::Local;
use crate::socket::Socket;

/// How many idle connections end at once at the most, so that they are looked through once for many that come.
const BATCH: usize = 32;
/// Where none was idle, it is not looked again for a moment: others may come thousands of times a second.
const BLIND: Duration = Duration::from_millis(10);
/// Descriptors that are kept for what is not a client's connection: the admin listener, files, targets. A connection that
/// gets one of them is one too many; where only half of them are left, none is accepted.
const KEPT: u64 = 64;

impl Connections {
    /// Makes room for a connection that has just come, or finds that it is one too many; also if it has one of the last
    /// descriptors.
    pub(super) fn make_room(&self, worker: &Local, last: bool, key: u64, activity: &Rc<Activity>) {
        if self.served() < limit(worker) && !last {
            return;
        }
        activity.is_too_many(true);
        let mut surplus = self.surplus.borrow_mut();
        surplus.insert(key, Rc::clone(activity));
        self.end_idle(surplus.len());
    }

    /// A connection ended, or more are admitted: those that were too many are served as far as there is room.
    pub fn has_room(&self, worker: &Local, ended: Option<u64>) {
        let mut surplus = self.surplus.borrow_mut();
        if surplus.is_empty() {
            return;
        }
        if let Some(ended) = ended {
            surplus.remove(&ended);
        }
        while self.count().saturating_sub(surplus.len()) < limit(worker) {
            let Some((_, activity)) = surplus.pop_first() else {
                return;
            };
            activity.is_too_many(false);
        }
    }

    /// How many are open and not too many.
    fn served(&self) -> usize {
        self.count().saturating_sub(self.surplus.borrow().len())
    }

    /// Has a few idle connections end: somebody needs what they hold.
    pub fn make_way(&self) {
        self.end_idle(1);
    }

    /// Sees to it that at least so many connections end that are idle, the longest idle first.
    fn end_idle(&self, least: usize) {
        let now = Instant::now();
        let blind = self.none_idle.get();
        if blind.is_some_and(|since| now.saturating_duration_since(since) < BLIND) {
            return;
        }
        let open = self.open.borrow();
        // Those that were asked already make room as well, but are not gone before their tasks have run.
        let leaving = open
            .values()
            .filter(|(activity, _)| activity.is_leaving() && !activity.is_surplus());
        let least = least.saturating_sub(leaving.count());
        if least == 0 {
            return;
        }
        let mut idle: Vec<(Instant, &Rc<Activity>)> = open
            .values()
            .filter_map(|(activity, _)| activity.idle_since().map(|since| (since, activity)))
            .collect();
        if idle.is_empty() {
            self.none_idle.set(Some(now));
            return;
        }
        let batch = (idle.len() / 8).clamp(1, BATCH).max(least).min(idle.len());
        idle.select_nth_unstable_by_key(batch - 1, |(since, _)| *since);
        for (_, activity) in idle.iter().take(batch) {
            activity.drain();
        }
    }
}

/// How many connections this worker has at the most, those included that are too many.
pub(super) fn most(worker: &Local) -> usize {
    let generation = worker.generation();
    generation.snapshot().map_or(1, |snapshot| {
        let settings = &snapshot.settings;
        settings.connections_per_worker.max(1) + settings.surplus_per_worker
    })
}

/// Whether a connection has one of the last descriptors that the process may have.
pub(super) fn is_last(socket: &Socket) -> bool {
    let most = descriptors();
    left(socket, most) < kept(most)
}

/// Whether so few descriptors are left that clients get none of them.
pub(super) fn is_short(socket: impl AsFd) -> bool {
    // The system gives the lowest number that is free; what it would give next is asked for and given back.
    let next = socket.as_fd().try_clone_to_owned();
    let most = descriptors();
    next.map_or(true, |next| left(next, most) < kept(most) / 2)
}

/// How many descriptors there are above this one.
fn left(descriptor: impl AsFd, most: u64) -> u64 {
    let number = u64::try_from(descriptor.as_fd().as_raw_fd()).unwrap_or(0);
    most.saturating_sub(number.saturating_add(1))
}

/// How many of the last descriptors are not for clients.
fn kept(most: u64) -> u64 {
    KEPT.min(most / 4)
}

/// How many descriptors the process may have. That may be changed from outside while it runs, so it is asked for each time.
fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// This worker's share of the connections.
fn limit(worker: &Local) -> usize {
    let generation = worker.generation();
    generation.snapshot().map_or(1, |snapshot| {
        snapshot.settings.connections_per_worker.max(1)
    })
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Connections that are idle, and would end if their tasks ran.
    fn idle(count: u64) -> Connections {
        let connections = Connections::default();
        for key in 0..count {
            let activity = Rc::new(Activity::new(Instant::now()));
            activity.exchange_begins();
            activity.exchange_ends(Instant::now());
            let task = spawn_local(async {}).abort_handle();
            connections.open.borrow_mut().insert(key, (activity, task));
        }
        connections
    }

    #[track_caller]
    fn check(connections: &Connections, least: usize, told: usize) {
        connections.end_idle(least);
        let open = connections.open.borrow();
        let draining = open.values().filter(|(one, _)| one.is_draining());
        assert_eq!(draining.count(), told);
    }

    fn inside(test: impl FnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        LocalSet::new().block_on(&runtime, async { test() });
    }

    #[test]
    fn a_few_that_come_do_not_end_all() {
        inside(|| {
            let connections = idle(80);
            for least in 1..=10 {
                check(&connections, least, 10);
            }
            check(&connections, 11, 18);
            check(&connections, 40, 40);
            check(&connections, 100, 80);
        });
    }

    #[test]
    fn who_was_told_to_end_and_is_busy_makes_no_room() {
        inside(|| {
            let connections = idle(16);
            check(&connections, 1, 2);
            let open = connections.open.borrow();
            let told = open.values().filter(|(one, _)| one.is_draining());
            told.for_each(|(one, _)| one.exchange_begins());
            drop(open);
            check(&connections, 1, 3);
        });
    }
}
