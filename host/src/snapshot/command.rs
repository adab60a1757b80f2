//! What control and its workers say to one another.

use std::sync::Arc;
use std::time::Duration;

use super::{Farewell, Kept, Left, Snapshot, Socket};
use crate::endpoint::Endpoint;

/// What control says to a worker.
pub enum Command {
    /// Accept from the sockets it was started with.
    Accept,
    /// Serve this from now on.
    Publish {
        /// The new generation.
        snapshot: Arc<Snapshot>,
        /// Sockets to accept from, already bound and listening.
        listen: Vec<Socket>,
        /// The listeners that keep their sockets, by the names they have now.
        kept: Vec<Kept>,
        /// Listeners to accept from no longer, once their queue is empty; by the address they were configured with.
        unlisten: Vec<Endpoint>,
        /// How long what began before may run on, where that has a limit.
        before: Option<Duration>,
    },
    /// Stop accepting, let running exchanges end, then end.
    Drain(Farewell),
    /// The time for that is over: end what still runs.
    Cut,
}

/// What a worker says to control.
pub enum Report {
    /// The worker serves this generation from now on.
    Adopted {
        /// Which worker.
        worker: usize,
        /// Which generation.
        generation: u64,
    },
    /// Nothing on the worker holds this generation any more.
    Released {
        /// Which worker.
        worker: usize,
        /// The generation itself, so that it is taken apart on a thread that has the time.
        snapshot: Arc<Snapshot>,
    },
    /// So much is left on a worker that drains.
    Left {
        /// Which worker.
        worker: usize,
        /// How much.
        left: Left,
    },
    /// The worker is drained and has ended.
    Drained {
        /// Which worker.
        worker: usize,
    },
    /// The worker panicked outside of its tasks and has ended.
    Failed {
        /// Which worker.
        worker: usize,
    },
}
