//! The sockets that a worker accepts from.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::endpoint::Endpoint;
use crate::listener::accept::{self, Queue, Stop};
use crate::listener::connections::Connections;
use crate::listener::owner::Owner;
use crate::local::Local;
use crate::metrics::traffic::Connections as Account;
use crate::snapshot::{Farewell, Kept, Socket, Speech};
use crate::socket::listening::Watched;

/// The sockets this worker accepts from.
#[derive(Default)]
pub(super) struct Listening(HashMap<Endpoint, Accepting>);

/// One of them that the runtime watches, and from which nothing is accepted yet.
pub(super) struct Registered {
    speech: Arc<Speech>,
    address: Endpoint,
    socket: Watched,
    connections: Arc<Account>,
}

impl Registered {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let Socket {
            speech,
            address,
            socket,
            connections,
        } = socket;
        let failed = |error: io::Error| {
            let listener = &speech.listener;
            let text = format!("cannot register the socket of listener {listener}: {error}");
            io::Error::new(error.kind(), text)
        };
        let socket = socket.watched().map_err(failed)?;
        Ok(Self {
            speech,
            address,
            socket,
            connections,
        })
    }
}

/// One from which is accepted.
struct Accepting {
    owner: Rc<Owner>,
    stop: Rc<Stop>,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    pub(super) fn start(
        &mut self,
        sockets: Vec<Socket>,
        local: &Rc<Local>,
        connections: &Rc<Connections>,
    ) {
        for socket in sockets {
            match Registered::new(socket) {
                Ok(socket) => self.accept(socket, local, connections),
                Err(error) => tracing::error!(target: "listener", "{error}"),
            }
        }
    }

    pub(super) fn accept(
        &mut self,
        socket: Registered,
        local: &Rc<Local>,
        connections: &Rc<Connections>,
    ) {
        let stop = Rc::new(Stop::default());
        let owner = Rc::new(Owner::new(socket.speech, socket.connections));
        let task = spawn_local(accept::run(
            Rc::clone(&owner),
            socket.socket,
            Rc::clone(local),
            Rc::clone(connections),
            Rc::clone(&stop),
        ));
        let accepting = Accepting { owner, stop, task };
        self.0.insert(socket.address, accepting);
    }

    /// Has those that stay speak as they are to now, counted by the names they have now.
    pub(super) fn speak(&self, kept: Vec<Kept>) {
        for one in kept {
            if let Some(accepting) = self.0.get(&one.address) {
                accepting.owner.speak(one.speech, one.connections);
            }
        }
    }

    /// Waits for the socket to be closed: whoever asks for the same address again must get it.
    pub(super) async fn stop(&mut self, address: &Endpoint) {
        if let Some(Accepting { stop, task, .. }) = self.0.remove(address) {
            stop.now(Queue::Own);
            let _ = task.await;
        }
    }

    pub(super) async fn stop_all(&mut self, farewell: &Farewell) {
        for (address, Accepting { stop, task, .. }) in self.0.drain() {
            stop.now(if farewell.to_another.contains(&address) {
                Queue::OfAnother
            } else {
                Queue::Own
            });
            let _ = task.await;
        }
    }
}
