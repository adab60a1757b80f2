//! The workers: what they are sent, what they say, and who still holds which generation.

mod bound;
mod heard;

use std::collections::HashMap;
use std::io;
use std::ops::Add as _;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::config::ready::Listener;
use crate::endpoint::Endpoint;
use crate::snapshot::{Command, Farewell, Left, Snapshot};
use crate::worker;

use heard::{Heard, listen_to};

pub use bound::{Bound, bind_all};
pub use heard::Losses;

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
        Losses::of(&self.heard)
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
