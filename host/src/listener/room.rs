//! What becomes of connections when there are more than are served.
//!
//! Those that are idle make room, the longest idle first, as nginx has them do. Where none is, a connection that comes is one
//! too many: a few of them are let in, and their first request is answered with 503. When one of the others ends, the
//! oldest of those too many takes its place.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::accept::{Connections, limit};
use crate::activity::Activity;
use crate::local::Local;
use crate::socket::Socket;

/// How many idle connections end at once at the most, so that they are looked through once for many that come.
const BATCH: usize = 32;
/// Where none was idle, it is not looked again for a moment: others may come thousands of times a second.
const BLIND: Duration = Duration::from_millis(10);
/// Descriptors that are kept for what is not a client's connection: the admin listener, files, targets.
const KEPT: u64 = 64;

impl Connections {
    /// Makes room for a connection that has just come, or finds that it is one too many.
    pub(super) fn make_room(
        &self,
        worker: &Local,
        socket: &Socket,
        key: u64,
        activity: &Rc<Activity>,
    ) {
        if self.served() < limit(worker) && !is_last(socket) {
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

    /// Asks at least so many idle connections to end, the longest idle first.
    fn end_idle(&self, least: usize) {
        let now = Instant::now();
        let blind = self.none_idle.get();
        if blind.is_some_and(|since| now.saturating_duration_since(since) < BLIND) {
            return;
        }
        let open = self.open.borrow();
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

/// Whether a connection has one of the last descriptors that the process may have.
pub(super) fn is_last(socket: &Socket) -> bool {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    let limit = *LIMIT.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.unwrap_or(u64::MAX);
        limit.saturating_sub(KEPT.min(limit / 4))
    });
    // The system gives the lowest number that is free.
    u64::try_from(socket.as_fd().as_raw_fd()).is_ok_and(|number| number >= limit)
}
