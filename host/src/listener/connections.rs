//! The open connections of a worker, each from its beginning until the last of it is gone.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use super::connection;
use super::owner::Owner;
use crate::activity::{Activity, Leave};
use crate::admission::addresses::Counted;
use crate::exchange::forwarding;
use crate::health::clock::now_ms;
use crate::local::Local;
use crate::metrics::traffic::Open;
use crate::panics::{self, Part};
use crate::socket::Socket;

/// The open connections of one worker.
#[derive(Default)]
pub struct Connections {
    pub(super) open: RefCell<HashMap<u64, (Rc<Activity>, AbortHandle)>>,
    /// Those of them that are too many, the oldest first.
    pub(super) surplus: RefCell<BTreeMap<u64, Rc<Activity>>>,
    /// When no idle one was found last.
    pub(super) none_idle: Cell<Option<Instant>>,
    next: Cell<u64>,
    draining: Cell<Option<Leave>>,
    /// One ended, or another number of them is admitted.
    pub(super) changed: Notify,
}

impl Connections {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Asks all of them to end after the running exchange, and those that still come; or, patiently, after one more that they
    /// may bring in a while.
    pub fn drain(&self, patient: bool) {
        let leave = if patient { Leave::Soon } else { Leave::Now };
        self.draining.set(Some(leave));
        self.open
            .borrow()
            .values()
            .for_each(|(activity, _)| activity.leave(leave));
    }

    /// Ends all of them, in the middle of whatever they do.
    pub fn cut(&self) {
        self.open
            .borrow()
            .values()
            .for_each(|(_, task)| task.abort());
    }

    /// Ends the exchanges that began before a generation, and with them their connections; in HTTP/2 their streams alone. How
    /// many there were.
    pub fn end_before(&self, generation: u64) -> usize {
        let open = self.open.borrow();
        let end = |(activity, task): &(Rc<Activity>, AbortHandle)| {
            if !activity.serves_before(generation) {
                return activity.cut_before(generation);
            }
            task.abort();
            1
        };
        open.values().map(end).sum()
    }

    /// Waits until none is open.
    pub async fn gone(&self) {
        while self.count() > 0 {
            self.changed.notified().await;
        }
    }

    /// Lets those that wait for room look again.
    pub fn look_again(&self) {
        self.changed.notify_waiters();
        // Whoever counted just now and does not wait yet finds this.
        self.changed.notify_one();
    }

    /// Starts the task of a connection, which may have one of the last descriptors.
    pub(super) fn start(
        self: &Rc<Self>,
        worker: &Rc<Local>,
        (socket, last): (Socket, bool),
        owner: &Owner,
    ) {
        let speech = owner.speech();
        let key = self.next.get();
        self.next.set(key.wrapping_add(1));
        let entry = Entry {
            connections: Rc::clone(self),
            worker: Rc::clone(worker),
            key,
        };
        let open = Rc::new(Alive {
            _entry: entry,
            counted: owner.account().begin(),
            address: OnceCell::new(),
        });
        // First: nobody makes room for a connection that is closed at once.
        if !connection::is_admitted(worker, &socket, &speech, &open) {
            return;
        }
        let activity = Rc::new(Activity::new(Instant::now()));
        self.make_room(worker, last, key, &activity);
        if let Some(leave) = self.draining.get() {
            activity.leave(leave);
        }
        let generation = worker.generation();
        let now = generation.snapshot();
        if now.is_some_and(|now| !now.admission.refused.keeps()) {
            activity.hears_nothing();
        }
        let worker = Rc::clone(worker);
        let known = Rc::clone(&activity);
        let task = spawn_local(async move {
            let connection = connection::run(worker, socket, speech, activity, open);
            panics::contained(Part::Connection, connection).await;
        });
        let entry = (known, task.abort_handle());
        self.open.borrow_mut().insert(key, entry);
    }
}

/// Held by everything of a connection that runs: it counts as open until the last of its streams is gone.
pub(super) struct Alive {
    _entry: Entry,
    counted: Open,
    /// That it counts for its address, where that is limited.
    address: OnceCell<Counted>,
}

impl Alive {
    /// Counts for this address until all of it is gone, if it may have another connection.
    pub(super) fn counts_for(&self, worker: &Local, client: IpAddr) -> bool {
        let generation = worker.generation();
        let Some(snapshot) = generation.snapshot() else {
            return true;
        };
        let settings = &snapshot.settings;
        let Some(limit) = settings.limits.connections_per_address else {
            return true;
        };
        if forwarding::is_trusted(client, &settings.trusted_addresses) {
            // A proxy that speaks for many.
            return true;
        }
        let addresses = &snapshot.admission.addresses;
        if let Some(counted) = addresses.begin(client, limit) {
            let _ = self.address.set(counted);
            return true;
        }
        self.counted.is_refused();
        if let Some(since) = addresses.refuses(now_ms()) {
            tracing::warn!(target: "listener", %client, "{since} more connections were closed at once, this address has {limit} open: limits.connections_per_address");
        }
        false
    }

    /// Counts a request that came in HTTP/2.
    pub(super) fn counts_stream(&self) {
        self.counted.has_stream();
    }

    /// Counts that the connection was ended because of a flood of frames.
    pub(super) fn counts_flood(&self) {
        self.counted.floods();
    }
}

/// Takes a connection off the list, also when its task panics.
struct Entry {
    connections: Rc<Connections>,
    worker: Rc<Local>,
    key: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.key);
        self.connections.has_room(&self.worker, Some(self.key));
        self.connections.look_again();
    }
}
