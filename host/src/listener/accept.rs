//! Taking connections off a socket.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::bind::BACKLOG;
use super::connections::Connections;
use super::owner::Owner;
use super::room;
use crate::local::Local;
use crate::panics::{self, Part, fault};
use crate::socket::listening::{Listening, Watched};
use crate::socket::{Socket, shortage};

/// First and longest pause after the system could not give a connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));
/// Once the pauses are as long as they get, that is said no more often than this.
const SAID: Duration = Duration::from_secs(10);
/// How often a socket that is being closed is asked again that could not give what waits in it.
const LAST_TRIES: u32 = 10;

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
    if connections.count() >= room::most(worker) {
        owner.account().waits();
    }
    while connections.count() >= room::most(worker) {
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
