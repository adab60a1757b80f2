//! A TCP proxy between the gateway and a target that goes wrong on command, in every way in which targets do.
//!
//! It reads requests and answers whole, so that a fault strikes at an exact place, and remembers whom it struck. Tests wait
//! for what it counted; the only pauses are those of [`Fault::Slow`], which are the fault itself.

mod door;
mod fault;
mod link;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use door::Door;
pub use fault::{Fault, Pace, Part, Place};
use state::Shared;

use crate::eventually::{lock, wait_until};
use crate::port::Port;

/// A proxy before one target. Dropping it closes its listener and all connections.
pub struct Proxy {
    port: Arc<Port>,
    shared: Arc<Shared>,
    door: Mutex<Door>,
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Requests whose head came.
    pub requests: usize,
    /// Requests the target got.
    pub forwarded: usize,
    /// Answers that were passed on as they were, slowly or not.
    pub answered: usize,
    /// Connections and exchanges that went wrong on command.
    pub struck: usize,
    /// Of those that hung, the ones on which the other side gave up.
    pub given_up: usize,
}

/// A request that went wrong on command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Its nonce.
    pub nonce: String,
    /// In which way.
    pub fault: Fault,
}

impl Proxy {
    /// A proxy before this target, which passes.
    #[must_use]
    pub fn before(target: SocketAddr) -> Self {
        let port = Arc::new(Port::take());
        let shared = Arc::new(Shared::new(target));
        let door = Mutex::new(Door::open(&port, &shared));
        Self { port, shared, door }
    }

    /// Where it listens, unless it refuses.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on everything goes wrong in this way, or right again. What hung until now is closed.
    pub fn set(&self, fault: Fault) {
        let mut door = lock(&self.door);
        self.shared.switch(fault);
        door.become_right_for(fault, &self.port, &self.shared);
    }

    /// The next exchange goes wrong in this way, and no other; with [`Place::Connect`] the next connection.
    ///
    /// # Panics
    /// When the fault is one of the listener, which is there or not for everybody.
    #[track_caller]
    pub fn once(&self, fault: Fault) {
        assert!(
            !fault.is_at_the_door(),
            "{fault} strikes everybody or nobody"
        );
        self.shared.strike_once(fault);
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Connections that are open on the side of the gateway.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open_links()
    }

    /// The requests with a nonce that went wrong here on command, in order.
    #[must_use]
    pub fn struck(&self) -> Vec<Strike> {
        self.shared.struck()
    }

    /// Waits until so many connections and exchanges went wrong.
    ///
    /// # Panics
    /// When they do not in time.
    #[track_caller]
    pub fn wait_for_struck(&self, count: usize) {
        wait_until(&format!("{count} faults to strike"), || {
            self.counts().struck >= count
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Fault::Refuse);
    }
}
