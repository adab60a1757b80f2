//! The workers: what they are sent, what they say, and who still holds which generation.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Add as _;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::config::ready::{Listener, ProxyProtocol};
use crate::endpoint::Endpoint;
use crate::metrics::Metrics;
use crate::metrics::handshake::Handshakes;
use crate::metrics::proxy::Failures;
use crate::metrics::traffic::Connections;
use crate::panics::{self, Part};
use crate::snapshot::{
    Command, Farewell, Kept, Left, Proxy, Report, Secure, Snapshot, Socket, Speech,
};
use crate::socket::listening::Listening;
use crate::supervise::binder::Binder;
use crate::tls::Material;
use crate::worker;

/// How long a change waits for the workers.
const PATIENCE: Duration = Duration::from_secs(5);

/// The workers of this process.
pub struct Fleet {
    commands: Vec<UnboundedSender<Command>>,
    threads: Vec<JoinHandle<()>>,
    heard: Rc<Heard>,
    /// By configured address: where it is really bound.
    bound: HashMap<Endpoint, Endpoint>,
}

/// What the workers have said.
#[derive(Default)]
struct Heard {
    adopted: RefCell<HashMap<usize, u64>>,
    holders: RefCell<BTreeMap<u64, BTreeSet<usize>>>,
    /// What is left on each worker that drains.
    left: RefCell<BTreeMap<usize, Left>>,
    /// The workers that have ended.
    drained: RefCell<BTreeSet<usize>>,
    /// Those of them that panicked and of which nobody was told yet.
    failed: RefCell<Vec<usize>>,
    /// Whether nobody is left to report.
    silent: Cell<bool>,
    changed: Notify,
}

/// Tells of workers that panicked.
pub struct Losses(Rc<Heard>);

impl Losses {
    /// The next worker that did, from 0.
    pub async fn next(&self) -> usize {
        loop {
            self.0
                .until(|heard| !heard.failed.borrow().is_empty())
                .await;
            if let Some(worker) = self.0.failed.borrow_mut().pop() {
                return worker;
            }
        }
    }
}

/// Sockets that are bound and not yet handed over; dropping them closes them.
#[derive(Default)]
pub struct Bound {
    /// For each worker.
    sockets: Vec<Vec<Socket>>,
    addresses: Vec<(Endpoint, Endpoint)>,
    /// Those that were bound before and stay, as they are now.
    kept: Vec<Kept>,
}

/// Binds listeners for a number of workers.
///
/// # Errors
/// The listener that cannot be bound, and what the system said.
pub fn bind_all(
    binder: &Binder,
    listeners: &[Listener],
    workers: usize,
    (metrics, material): (&Metrics, &Material),
) -> Result<Bound, Box<(Listener, io::Error)>> {
    let mut bound = Bound {
        sockets: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
        kept: Vec::new(),
    };
    let mut kept: Vec<&Endpoint> = Vec::new();
    for listener in listeners {
        let (sockets, fresh) = match binder.bind(&listener.address, workers) {
            Ok(sockets) => sockets,
            Err(error) => {
                kept.iter().for_each(|address| binder.release(address));
                return Err(Box::new((listener.clone(), error)));
            }
        };
        if fresh {
            binder.keep(&listener.address, sockets.iter());
            kept.push(&listener.address);
        }
        let real = sockets
            .first()
            .and_then(Listening::address)
            .map_or_else(|| listener.address.clone(), Endpoint::Tcp);
        bound.addresses.push((listener.address.clone(), real));
        let connections = account(listener, metrics);
        let speech = speech(listener, (metrics, material));
        for (list, socket) in bound.sockets.iter_mut().zip(sockets) {
            list.push(Socket {
                speech: Arc::clone(&speech),
                address: listener.address.clone(),
                socket,
                connections: Arc::clone(&connections),
            });
        }
    }
    Ok(bound)
}

impl Bound {
    /// Has the listeners that keep their sockets speak as they are to now, counted by the names they have now.
    #[must_use]
    pub fn keeping(
        mut self,
        listeners: &[Listener],
        (metrics, material): (&Metrics, &Material),
    ) -> Self {
        let kept = |listener: &Listener| Kept {
            speech: speech(listener, (metrics, material)),
            address: listener.address.clone(),
            connections: account(listener, metrics),
        };
        self.kept = listeners.iter().map(kept).collect();
        self
    }
}

/// How the connections of a listener are spoken with.
fn speech(listener: &Listener, (metrics, material): (&Metrics, &Material)) -> Arc<Speech> {
    let new = || Handshakes::new(metrics.workers);
    let secure = material.listener(&listener.name).map(|server| Secure {
        config: Arc::clone(&server.config),
        choice: Arc::clone(&server.choice),
        asks_clients: server.policy.clients.is_some(),
        handshakes: metrics.traffic.handshakes.get(&listener.name, new),
    });
    Arc::new(Speech {
        listener: Arc::clone(&listener.name),
        protocols: listener.protocols,
        proxy: proxy(listener, metrics),
        tls: secure,
    })
}

/// What a listener expects of PROXY headers.
fn proxy(listener: &Listener, metrics: &Metrics) -> Option<Proxy> {
    let required = match listener.proxy_protocol {
        ProxyProtocol::Off => return None,
        ProxyProtocol::Optional => false,
        ProxyProtocol::Required => true,
    };
    let new = || Failures::new(metrics.workers);
    let failures = metrics.traffic.proxies.get(&listener.name, new);
    Some(Proxy { required, failures })
}

/// Where the connections of a listener are counted.
fn account(listener: &Listener, metrics: &Metrics) -> Arc<Connections> {
    let new = || Connections::new(metrics.workers);
    metrics.traffic.listeners.get(&listener.name, new)
}

impl Fleet {
    /// Starts the workers with their first snapshot, and waits until nothing is left for them to do but to accept.
    ///
    /// # Errors
    /// The system gives no threads, or does not watch their sockets.
    pub async fn start(snapshot: &Arc<Snapshot>, mut bound: Bound) -> io::Result<Self> {
        let (reports, heard) = unbounded_channel();
        let mut fleet = Self {
            commands: Vec::new(),
            threads: Vec::new(),
            heard: listen_to(heard),
            bound: bound.addresses.drain(..).collect(),
        };
        fleet.expect(snapshot.generation, bound.sockets.len());
        let mut starting = Vec::new();
        for (index, listen) in bound.sockets.into_iter().enumerate() {
            let (sender, commands) = unbounded_channel();
            let snapshot = Arc::clone(snapshot);
            let reports = reports.clone();
            let (ready, started) = oneshot::channel();
            starting.push(started);
            fleet.threads.push(worker::spawn(worker::Start {
                index,
                snapshot,
                listen,
                commands,
                reports,
                ready,
            })?);
            fleet.commands.push(sender);
        }
        for started in starting {
            let lost = |_| io::Error::other("a worker panicked before it could accept");
            started.await.map_err(lost)??;
        }
        Ok(fleet)
    }

    /// Has the workers accept from here on, and waits until all of them do.
    pub async fn accept(&self, generation: u64) {
        for commands in &self.commands {
            let _ = commands.send(Command::Accept);
        }
        self.adopted(generation).await;
    }

    /// Sends a snapshot to every worker and waits until all of them serve it, but not for ever: a worker may hang in a
    /// hook, and takes the snapshot over when that returns.
    /// What began before may run on for so long, if that has a limit.
    pub async fn publish(
        &mut self,
        snapshot: &Arc<Snapshot>,
        bound: Bound,
        removed: &[Listener],
        before: Option<Duration>,
    ) {
        let unlisten: Vec<Endpoint> = removed
            .iter()
            .map(|listener| listener.address.clone())
            .collect();
        unlisten.iter().for_each(|address| {
            self.bound.remove(address);
        });
        self.bound.extend(bound.addresses);
        let mut sockets = bound.sockets.into_iter();
        self.expect(snapshot.generation, self.commands.len());
        for commands in &self.commands {
            let command = Command::Publish {
                snapshot: Arc::clone(snapshot),
                listen: sockets.next().unwrap_or_default(),
                kept: bound.kept.clone(),
                unlisten: unlisten.clone(),
                before,
            };
            let _ = commands.send(command);
        }
        self.adopted(snapshot.generation).await;
    }

    /// Waits until every worker serves a generation, for a while; says which ones do not.
    pub async fn adopted(&self, generation: u64) {
        let all = self.heard.until(|_| self.lagging(generation).is_empty());
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            let workers = self.lagging(generation);
            tracing::error!(target: "control", generation, ?workers, "workers do not take over the generation within {PATIENCE:?}; a hook may hang, see /plugins");
        }
    }

    /// The workers that do not serve a generation yet.
    #[must_use]
    pub fn lagging(&self, generation: u64) -> Vec<usize> {
        let adopted = self.heard.adopted.borrow();
        let serves = |worker: &usize| adopted.get(worker).is_some_and(|own| *own >= generation);
        (0..self.commands.len())
            .filter(|worker| !serves(worker))
            .collect()
    }

    /// Asks every worker to drain and waits until all have.
    pub async fn drain(&self, farewell: &Farewell) {
        for commands in &self.commands {
            let _ = commands.send(Command::Drain(farewell.clone()));
        }
        let workers = self.commands.len();
        self.heard
            .until(|heard| heard.drained.borrow().len() >= workers)
            .await;
    }

    /// Has every worker end what still runs, after [`Self::drain`], and waits until all have, at most for `limit`.
    pub async fn cut(&self, limit: Duration) {
        for commands in &self.commands {
            let _ = commands.send(Command::Cut);
        }
        let workers = self.commands.len();
        let drained = self
            .heard
            .until(|heard| heard.drained.borrow().len() >= workers);
        let _ = tokio::time::timeout(limit, drained).await;
    }

    /// What is left on the workers, after [`Self::drain`].
    #[must_use]
    pub fn left(&self) -> Left {
        let left = self.heard.left.borrow();
        left.values().copied().fold(Left::default(), Left::add)
    }

    /// Who tells of workers that panicked.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses(Rc::clone(&self.heard))
    }

    /// Waits until the workers have ended and all they held was let go of, at most for `limit`.
    pub async fn ended(&mut self, limit: Duration) {
        // Whatever a worker holds can report, so that nobody can means that nothing is held.
        let silent = self.heard.until(|heard| heard.silent.get());
        let _ = tokio::time::timeout(limit, silent).await;
        for thread in self.threads.drain(..).filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }

    /// Where a configured address is really bound; they differ where port 0 was asked for.
    #[must_use]
    pub fn address<'a>(&'a self, configured: &'a Endpoint) -> &'a Endpoint {
        self.bound.get(configured).unwrap_or(configured)
    }

    /// Older generations that workers still hold, each with how many.
    #[must_use]
    pub fn held(&self) -> Vec<(u64, usize)> {
        self.heard
            .holders
            .borrow()
            .iter()
            .map(|(generation, workers)| (*generation, workers.len()))
            .collect()
    }

    fn expect(&self, generation: u64, workers: usize) {
        self.heard
            .holders
            .borrow_mut()
            .insert(generation, (0..workers).collect());
    }
}

impl Heard {
    async fn until(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if reached(self) {
                return;
            }
            changed.await;
        }
    }

    fn take(&self, report: Report) {
        match report {
            Report::Adopted { worker, generation } => {
                self.adopted.borrow_mut().insert(worker, generation);
            }
            Report::Released { worker, snapshot } => {
                let mut holders = self.holders.borrow_mut();
                if let Some(workers) = holders.get_mut(&snapshot.generation) {
                    workers.remove(&worker);
                    if workers.is_empty() {
                        holders.remove(&snapshot.generation);
                    }
                }
                // Here, on a thread that has the time, the last hold on a generation ends.
                drop(snapshot);
            }
            Report::Left { worker, left } => {
                self.left.borrow_mut().insert(worker, left);
                return;
            }
            Report::Drained { worker } => {
                self.left.borrow_mut().remove(&worker);
                self.drained.borrow_mut().insert(worker);
            }
            Report::Failed { worker } => {
                self.left.borrow_mut().remove(&worker);
                self.drained.borrow_mut().insert(worker);
                self.failed.borrow_mut().push(worker);
            }
        }
        self.changed.notify_waiters();
    }
}

fn listen_to(mut reports: UnboundedReceiver<Report>) -> Rc<Heard> {
    let heard = Rc::new(Heard::default());
    let ear = Rc::clone(&heard);
    spawn_local(panics::contained(Part::Control, async move {
        while let Some(report) = reports.recv().await {
            ear.take(report);
        }
        ear.silent.set(true);
        ear.changed.notify_waiters();
    }));
    heard
}
