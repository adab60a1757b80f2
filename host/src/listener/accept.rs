//! Taking connections off a socket.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use super::bind::BACKLOG;
use super::connection;
use super::room;
use crate::activity::{Activity, Leave};
use crate::admission::addresses::Counted;
use crate::exchange::forwarding;
use crate::health::clock::now_ms;
use crate::local::Local;
use crate::metrics::traffic::{Connections as Account, Hold, Open};
use crate::panics::{self, Part, fault};
use crate::snapshot::Speech;
use crate::socket::listening::{Listening, Watched};
use crate::socket::{Socket, shortage};

/// First and longest pause after the system could not give a connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));
/// Once the pauses are as long as they get, that is said no more often than this.
const SAID: Duration = Duration::from_secs(10);
/// How often a socket that is being closed is asked again that could not give what waits in it.
const LAST_TRIES: u32 = 10;

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
    changed: Notify,
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
    fn start(self: &Rc<Self>, worker: &Rc<Local>, (socket, last): (Socket, bool), owner: &Owner) {
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

/// The listener a socket belongs to. How it speaks and its name, and with that the account, may change while the socket
/// stays.
pub struct Owner(RefCell<(Arc<Speech>, Rc<Hold>)>);

impl Owner {
    /// A listener that speaks so, whose connections are counted there.
    #[must_use]
    pub fn new(speech: Arc<Speech>, account: Arc<Account>) -> Self {
        Self(RefCell::new((speech, Hold::new(account))))
    }

    /// New connections are spoken with like this from now on; those that are open stay as they are, and counted where
    /// they began.
    pub fn speak(&self, speech: Arc<Speech>, account: Arc<Account>) {
        let renamed = self.speech().listener != speech.listener;
        let own = &mut *self.0.borrow_mut();
        own.0 = speech;
        if renamed {
            own.1 = Hold::new(account);
        }
    }

    fn speech(&self) -> Arc<Speech> {
        Arc::clone(&self.0.borrow().0)
    }

    fn account(&self) -> Rc<Hold> {
        Rc::clone(&self.0.borrow().1)
    }
}

/// Tells whoever accepts to stop.
#[derive(Debug, Default)]
pub struct Stop {
    told: Notify,
    queue: Cell<Queue>,
}

/// Whose are the connections that still wait in the queue of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Queue {
    /// Of the one that stops: nobody else would take them.
    #[default]
    Own,
    /// Of another process, which has the same socket and goes on.
    OfAnother,
}

impl Stop {
    /// Stop now.
    pub fn now(&self, queue: Queue) {
        self.queue.set(queue);
        self.told.notify_one();
    }
}

/// Accepts until told to stop, then takes what still waits in the queue, then closes the socket.
pub async fn run(
    owner: Rc<Owner>,
    socket: Watched,
    worker: Rc<Local>,
    connections: Rc<Connections>,
    stop: Rc<Stop>,
) {
    let ((worker, connections), stop) = ((&worker, &connections), &*stop);
    panics::lasting(Part::Listener, || {
        take(&owner, &socket, worker, connections, stop)
    })
    .await;
    if let (Ok(socket), Queue::Own) = (socket.unwatched(), stop.queue.get()) {
        let emptied = empty(&socket, worker, connections, &owner);
        panics::contained(Part::Listener, emptied).await;
    }
}

/// Accepts until told to stop.
async fn take(
    owner: &Owner,
    socket: &Watched,
    worker: &Rc<Local>,
    connections: &Rc<Connections>,
    stop: &Stop,
) {
    let mut pauses = Pauses::default();
    loop {
        fault::point("accept");
        let accepted = tokio::select! {
            biased;
            () = stop.told.notified() => break,
            accepted = accept(socket, worker, connections, owner) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                pauses = Pauses::default();
                let last = room::is_last(&accepted);
                connections.start(worker, (accepted, last), owner);
                if last {
                    // The system has hardly any descriptors left; those are for others.
                    tokio::select! {
                        () = stop.told.notified() => break,
                        () = spared(socket) => {}
                    }
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                let pause = pauses.after(owner, &error);
                let again = async {
                    tokio::time::sleep(pause).await;
                    if room::is_short(socket) {
                        // What becomes free is for others first.
                        spared(socket).await;
                    }
                };
                tokio::select! {
                    () = stop.told.notified() => break,
                    () = again => {}
                }
            }
        }
    }
}

/// Waits a moment, and for as long as what descriptors are left are not for clients.
async fn spared(socket: &Watched) {
    let mut pause = PAUSE.0;
    loop {
        tokio::time::sleep(pause).await;
        if !room::is_short(socket) {
            return;
        }
        shortage::tell();
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// The pauses of a listener that the system gives no connection.
#[derive(Default)]
struct Pauses {
    /// How many there were, one after the other.
    count: u32,
    said: Option<Instant>,
}

impl Pauses {
    /// How long to wait after this error, which is counted and said.
    fn after(&mut self, owner: &Owner, error: &io::Error) -> Duration {
        owner.account().fails();
        let pause = PAUSE.0 * 2_u32.saturating_pow(self.count);
        let grows = pause < PAUSE.1;
        let pause = pause.min(PAUSE.1);
        if self.count > 0 && shortage::is(error) {
            shortage::tell();
        }
        self.count = self.count.saturating_add(1);
        if grows || self.said.is_none_or(|said| said.elapsed() >= SAID) {
            self.said = Some(Instant::now());
            let name = Arc::clone(&owner.speech().listener);
            tracing::warn!(target: "listener", listener = %name, %error, "cannot accept, trying again in {pause:?}");
        }
        pause
    }
}

/// Takes one connection, once there is room for it.
async fn accept(
    socket: &Watched,
    worker: &Local,
    connections: &Connections,
    owner: &Owner,
) -> io::Result<Socket> {
    if connections.count() >= most(worker) {
        owner.account().waits();
    }
    while connections.count() >= most(worker) {
        connections.changed.notified().await;
    }
    socket.accept().await
}

/// Takes what waits in the queue: those clients are connected already, and closing would reset them. The system is
/// asked directly, because the runtime says "nothing there" also when it only wants another task to have its turn.
async fn empty(
    socket: &Listening,
    worker: &Rc<Local>,
    connections: &Rc<Connections>,
    owner: &Owner,
) {
    let mut tries = 0;
    // The queue holds no more than that; clients that come faster than they are taken must not keep it open for ever.
    for _ in 0..=BACKLOG {
        match socket.accept() {
            Ok(accepted) => {
                let last = room::is_last(&accepted);
                connections.start(worker, (accepted, last), owner);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) if tries < LAST_TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE.0 * tries).await;
            }
            Err(error) => {
                let name = Arc::clone(&owner.speech().listener);
                tracing::warn!(target: "listener", listener = %name, %error, "cannot accept what still waits; the socket is closed all the same");
                return;
            }
        }
    }
}

/// The client gave up, or the network did, before the connection was accepted (accept(2), "Error handling"), or a rule of
/// the system's firewall forbids this one.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
                | libc::EPERM
        )
    )
}

/// How many connections this worker has at the most, those included that are too many.
fn most(worker: &Local) -> usize {
    let generation = worker.generation();
    generation.snapshot().map_or(1, |snapshot| {
        let settings = &snapshot.settings;
        settings.connections_per_worker.max(1) + settings.surplus_per_worker
    })
}

/// This worker's share of the connections.
pub(super) fn limit(worker: &Local) -> usize {
    let generation = worker.generation();
    generation.snapshot().map_or(1, |snapshot| {
        snapshot.settings.connections_per_worker.max(1)
    })
}
