//! How a proxy listens, or does not.

use std::net::Shutdown;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::fault::{Fault, Place};
use super::link;
use super::state::Shared;
use crate::port::Port;

/// Room for connections that wait for being accepted.
const BACKLOG: i32 = 1024;

/// Connections with which the queue of a deaf listener is filled.
const QUEUED: usize = 8;

/// The listener of a proxy.
pub(super) enum Door {
    /// It accepts, on a thread of its own.
    Open {
        listener: Arc<Socket>,
        accepting: JoinHandle<()>,
    },
    /// Its queue is full, so the system drops every further attempt: nobody answers, and nobody refuses.
    Deaf {
        _listener: Socket,
        _queued: Vec<Socket>,
    },
    /// There is none: the system refuses.
    Closed,
}

impl Door {
    pub(super) fn open(port: &Port, shared: &Arc<Shared>) -> Self {
        let listener = Arc::new(port.listen(BACKLOG));
        let (accepted, shared) = (Arc::clone(&listener), Arc::clone(shared));
        let accepting = thread::spawn(move || {
            while let Ok((socket, _)) = accepted.accept() {
                link::spawn(socket.into(), &shared);
            }
        });
        Self::Open {
            listener,
            accepting,
        }
    }

    /// Opens, closes or stops answering, whichever the fault asks for.
    pub(super) fn become_right_for(&mut self, fault: Fault, port: &Port, shared: &Arc<Shared>) {
        let is_right = match (&self, fault) {
            (Self::Closed, Fault::Refuse) | (Self::Deaf { .. }, Fault::Hang(Place::Connect)) => {
                true
            }
            (Self::Open { .. }, fault) => !fault.is_at_the_door(),
            _ => false,
        };
        if is_right {
            return;
        }
        self.close();
        *self = match fault {
            Fault::Refuse => Self::Closed,
            Fault::Hang(Place::Connect) => Self::deaf(port),
            _ => Self::open(port, shared),
        };
    }

    fn deaf(port: &Port) -> Self {
        let listener = port.listen(0);
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket option");
            // In progress for ever, once the queue is full: that is the point.
            let _ = socket.connect(&port.address().into());
            socket
        };
        Self::Deaf {
            _queued: (0..QUEUED).map(fill).collect(),
            _listener: listener,
        }
    }

    /// Closes the listener, and returns once nobody can connect any more.
    fn close(&mut self) {
        if let Self::Open {
            listener,
            accepting,
        } = std::mem::replace(self, Self::Closed)
        {
            // Wakes the thread that accepts, which holds the other handle.
            let _ = listener.shutdown(Shutdown::Both);
            drop(listener);
            let _ = accepting.join();
        }
    }
}
