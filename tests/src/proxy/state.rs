//! What a proxy and its connections know together.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;

use super::fault::{Fault, Place};
use super::{Counts, Strike};
use crate::eventually::lock;

pub(super) struct Shared {
    pub(super) target: SocketAddr,
    state: Mutex<State>,
}

struct State {
    /// What strikes everybody.
    fault: Fault,
    /// What strikes the next one instead.
    once: Option<Fault>,
    counts: Counts,
    struck: Vec<Strike>,
    /// A second handle of the sockets of each connection, by its number.
    links: HashMap<usize, Handle>,
}

/// A connection, as others see it who may have to end it.
struct Handle {
    sockets: Vec<TcpStream>,
    /// Whether it waits for nothing but an end.
    hangs: bool,
    /// How it is to end, once somebody says so.
    ending: Option<Ending>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// In an orderly way.
    Cut,
    /// By a reset.
    Reset,
}

impl Shared {
    pub(super) fn new(target: SocketAddr) -> Self {
        let state = State {
            fault: Fault::Pass,
            once: None,
            counts: Counts::default(),
            struck: Vec::new(),
            links: HashMap::new(),
        };
        Self {
            target,
            state: Mutex::new(state),
        }
    }

    /// Changes what strikes everybody, wakes who hangs, and ends open connections where the fault is that.
    pub(super) fn switch(&self, fault: Fault) {
        let mut state = lock(&self.state);
        state.fault = fault;
        state.once = None;
        let ending = match fault {
            Fault::Refuse | Fault::Cut(Place::Connect) => Some(Ending::Cut),
            Fault::Reset(Place::Connect) => Some(Ending::Reset),
            _ => None,
        };
        for handle in state.links.values_mut() {
            handle.ending = ending.or(handle.ending);
            if std::mem::take(&mut handle.hangs) || ending.is_some() {
                handle.wake();
            }
        }
    }

    /// Notes that a connection that hung has ended, by the other side unless the fault is over.
    pub(super) fn hung(&self, number: usize) {
        let mut state = lock(&self.state);
        if state.links.get(&number).is_some_and(|handle| handle.hangs) {
            state.counts.given_up += 1;
        }
    }

    pub(super) fn strike_once(&self, fault: Fault) {
        lock(&self.state).once = Some(fault);
    }

    /// Makes a connection known, and says how it ends if it does at once. None: the listener has been closed meanwhile.
    pub(super) fn enter(&self, socket: TcpStream) -> Option<(usize, Option<Ending>)> {
        let mut state = lock(&self.state);
        if state.fault.is_at_the_door() {
            return None;
        }
        state.counts.accepted += 1;
        let number = state.counts.accepted;
        let at_once = |fault: &Fault| match fault {
            Fault::Cut(Place::Connect) => Some(Ending::Cut),
            Fault::Reset(Place::Connect) => Some(Ending::Reset),
            _ => None,
        };
        let once = state.once.filter(|fault| at_once(fault).is_some());
        let ending = at_once(&once.unwrap_or(state.fault));
        if once.is_some() {
            state.once = None;
        }
        if ending.is_some() {
            state.counts.struck += 1;
        }
        let handle = Handle {
            sockets: vec![socket],
            hangs: false,
            ending: None,
        };
        state.links.insert(number, handle);
        Some((number, ending))
    }

    /// Adds a socket to what belongs to a connection.
    pub(super) fn add(&self, number: usize, socket: TcpStream) {
        if let Some(handle) = lock(&self.state).links.get_mut(&number) {
            handle.sockets.push(socket);
            if handle.ending.is_some() {
                handle.wake();
            }
        }
    }

    /// Lets go of a connection's sockets, so that closing its own handles closes them. How it is to end, if somebody said so.
    pub(super) fn leave(&self, number: usize) -> Option<Ending> {
        let mut state = lock(&self.state);
        let handle = state.links.get_mut(&number)?;
        handle.sockets.clear();
        handle.ending
    }

    /// Forgets a connection that is closed.
    pub(super) fn forget(&self, number: usize) {
        lock(&self.state).links.remove(&number);
    }

    /// What is to become of an exchange whose head came.
    pub(super) fn claim(&self, number: usize) -> Fault {
        let mut state = lock(&self.state);
        state.counts.requests += 1;
        let everybody = state.fault;
        let own = state.once.filter(|fault| !is_at_connect(*fault));
        if own.is_some() {
            state.once = None;
        }
        // A connection that was open before meets it at its next request.
        let fault = match own.unwrap_or(everybody) {
            Fault::Hang(Place::Connect) => Fault::Hang(Place::Request),
            Fault::Reset(Place::Connect) => Fault::Reset(Place::Request),
            Fault::Refuse | Fault::Cut(Place::Connect) => Fault::Cut(Place::Request),
            other => other,
        };
        if let (Fault::Hang(_), Some(handle)) = (fault, state.links.get_mut(&number)) {
            // From here on, although it may still have something to do: a change of the fault must not miss it.
            handle.hangs = true;
        }
        fault
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut lock(&self.state).counts);
    }

    /// Notes that a request went wrong on command.
    pub(super) fn strike(&self, nonce: String, fault: Fault) {
        let mut state = lock(&self.state);
        state.counts.struck += 1;
        if !nonce.is_empty() {
            state.struck.push(Strike { nonce, fault });
        }
    }

    /// What strikes everybody.
    pub(super) fn fault(&self) -> Fault {
        lock(&self.state).fault
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.state).counts
    }

    pub(super) fn open_links(&self) -> usize {
        lock(&self.state).links.len()
    }

    pub(super) fn struck(&self) -> Vec<Strike> {
        lock(&self.state).struck.clone()
    }
}

impl Handle {
    /// Ends what its thread waits for, without a byte to either side.
    fn wake(&self) {
        for socket in &self.sockets {
            // It may be closed already, by whoever is at its other end.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

fn is_at_connect(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Reset(Place::Connect) | Fault::Cut(Place::Connect)
    )
}
