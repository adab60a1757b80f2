//! One worker: one thread, one runtime, its own sockets, its own upstream connections.
//!
//! No request ever leaves the thread it came in on. Control speaks to a worker by messages, and a worker changes over
//! to a new snapshot between two of its tasks, so no request sees half of each.

mod listening;

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use crate::listener::connections::Connections;
use crate::local::Local;
use crate::mark;
use crate::metrics::cell::enter_worker;
use crate::panics::{self, Part, fault};
use crate::snapshot::{Command, Farewell, Report, Snapshot, Socket};
use crate::socket::shortage;
use crate::wake;

use listening::{Listening, Registered};

/// How often unused upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);
/// Between two times that a worker lets go of what it does not use.
const AT_MOST: Duration = Duration::from_millis(20);
/// How often a worker that drains says how much is left.
const LOOK: Duration = Duration::from_millis(500);
/// How often a worker shows that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// What a worker starts with.
pub struct Start {
    /// Which worker, from 0.
    pub index: usize,
    /// What it serves first.
    pub snapshot: Arc<Snapshot>,
    /// Where it accepts.
    pub listen: Vec<Socket>,
    /// What control says.
    pub commands: UnboundedReceiver<Command>,
    /// What it says to control.
    pub reports: UnboundedSender<Report>,
    /// Where it says that nothing is left to do but to accept, or why it cannot.
    pub ready: oneshot::Sender<io::Result<()>>,
}

/// Starts a worker's thread, which accepts nothing before [`Command::Accept`].
///
/// # Errors
/// The system gives no thread or no random numbers.
pub fn spawn(start: Start) -> io::Result<JoinHandle<()>> {
    let seed = getrandom::u64().map_err(io::Error::other)?;
    fault::refuses(&format!("thread-{}", start.index))?;
    std::thread::Builder::new()
        .name(format!("worker-{}", start.index))
        .spawn(move || {
            enter_worker(start.index);
            mark::enter_worker(start.index);
            let (worker, reports) = (start.index, start.reports.clone());
            // Made here: where there is no thread, control could not let go of it.
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = match runtime.enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    mark::leave_worker();
                    let _ = start.ready.send(Err(error));
                    return;
                }
            };
            // Its tasks have panics of their own; this is about what holds them together.
            let ended = LocalSet::new().block_on(&runtime, async move {
                panics::isolated(Part::Worker, pin!(run(start, seed))).await
            });
            mark::leave_worker();
            if let Err(panicked) = ended {
                panicked.say();
                let _ = reports.send(Report::Failed { worker });
            }
        })
}

async fn run(start: Start, seed: u64) {
    let Start {
        index,
        snapshot,
        listen,
        mut commands,
        reports,
        ready,
    } = start;
    let generation = snapshot.generation;
    let local = Local::new(index, seed, snapshot, reports.clone());
    let connections = Rc::new(Connections::default());
    let inbox = wake::open(index);
    let waking = spawn_local(wake_up(inbox, Rc::clone(&local)));
    // On their own, so that they go on while this worker waits or drains.
    spawn_local(beat());
    let registered = listen.into_iter().map(Registered::new);
    let registered = match registered.collect::<io::Result<Vec<_>>>() {
        Ok(registered) => registered,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    if !matches!(commands.recv().await, Some(Command::Accept)) {
        // It was given up before it served.
        waking.abort();
        let _ = reports.send(Report::Drained { worker: index });
        return;
    }
    let mut listening = Listening::default();
    for socket in registered {
        listening.accept(socket, &local, &connections);
    }
    let _ = reports.send(Report::Adopted {
        worker: index,
        generation,
    });
    spawn_local(let_go(Rc::clone(&local), Rc::clone(&connections)));
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut overdue = VecDeque::new();
    let farewell = loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Publish { snapshot, listen, kept, unlisten, before }) => {
                    fault::point("worker");
                    let generation = snapshot.generation;
                    let due = before.and_then(|before| Instant::now().checked_add(before));
                    if let Some(due) = due {
                        is_due(&mut overdue, due, generation);
                    }
                    local.adopt(snapshot);
                    // The new limits may admit more connections than the old ones.
                    connections.has_room(&local, None);
                    connections.look_again();
                    listening.speak(kept);
                    listening.start(listen, &local, &connections);
                    for address in &unlisten {
                        listening.stop(address).await;
                    }
                    let _ = reports.send(Report::Adopted { worker: index, generation });
                }
                // It does already.
                Some(Command::Accept) => {}
                Some(Command::Drain(farewell)) => break farewell,
                // Without control there is nobody to serve for.
                Some(Command::Cut) | None => break Farewell::default(),
            },
            _ = sweep.tick() => swept(&local),
            () = until(overdue.front().map(|(due, _)| *due)) => {
                if let Some((_, generation)) = overdue.pop_front() {
                    end_before(generation, &local, &connections);
                }
            }
        }
    };
    listening.stop_all(&farewell).await;
    connections.drain(farewell.patient);
    local.drain();
    // A body that its target does not take has a limit meanwhile as well.
    tokio::select! {
        () = drained(&local, &connections, &mut commands, &reports) => {}
        () = sweeping(&mut sweep, &local) => {}
    }
    waking.abort();
    let _ = reports.send(Report::Drained { worker: index });
}

/// Looks through unused upstream connections.
fn swept(local: &Local) {
    if let Err(panicked) = panics::caught(Part::Worker, || local.sweep()) {
        panicked.say();
    }
}

/// Does so for as long as it is asked.
async fn sweeping(sweep: &mut Interval, local: &Local) {
    loop {
        sweep.tick().await;
        swept(local);
    }
}

/// Wakes exchanges whose wake tokens are used.
async fn wake_up(inbox: Arc<wake::Inbox>, local: Rc<Local>) {
    loop {
        for (exchange, token) in inbox.used().await {
            let told = panics::caught(Part::Exchange, || local.wake(exchange, token));
            if let Err(panicked) = told {
                panicked.say();
            }
        }
        // A hook may wake itself each time it is woken: everybody else on this worker has a turn in between.
        tokio::task::yield_now().await;
    }
}

/// Waits until no connection is left, and says how much is; ends them when the time for that is over.
async fn drained(
    local: &Local,
    connections: &Connections,
    commands: &mut UnboundedReceiver<Command>,
    reports: &UnboundedSender<Report>,
) {
    let worker = local.worker;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = connections.gone() => break,
            _ = look.tick() => {
                let left = local.left(connections.count());
                let _ = reports.send(Report::Left { worker, left });
            }
            command = commands.recv() => if matches!(command, Some(Command::Cut) | None) {
                // Dropping what runs tells every hook that waits, and ends its exchange.
                connections.cut();
                connections.gone().await;
                break;
            },
        }
    }
}

/// What began before this generation is to be over then, and with it what began before any older one.
fn is_due(overdue: &mut VecDeque<(Instant, u64)>, due: Instant, generation: u64) {
    // Each reload may set another limit. So they stay in the order in which they are due.
    while overdue.back().is_some_and(|(later, _)| *later >= due) {
        overdue.pop_back();
    }
    overdue.push_back((due, generation));
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Ends what began before a generation and still runs.
fn end_before(generation: u64, local: &Local, connections: &Connections) {
    let count = connections.end_before(generation) + local.end_tunnels_before(generation);
    if count > 0 {
        tracing::warn!(target: "worker", worker = local.worker, generation, count, "{count} exchanges and tunnels from before generation {generation} ran on for all of drain.max, ending them");
    }
}

/// Shows that this worker comes round to its own affairs.
async fn beat() {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        mark::beat();
    }
}

/// Lets go of what nobody uses whenever the system has no sockets left to give.
async fn let_go(local: Rc<Local>, connections: Rc<Connections>) {
    loop {
        shortage::told().await;
        local.let_go();
        connections.make_way();
        // What was let go of is closed by its tasks; until that shows, letting go of more would help nobody.
        tokio::time::sleep(AT_MOST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_limit_does_not_wait_behind_a_longer_one() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut overdue = VecDeque::new();
        for (seconds, generation) in [(5, 2), (60, 3), (90, 4), (10, 5), (30, 6)] {
            is_due(&mut overdue, at(seconds), generation);
        }
        assert_eq!(overdue, [(at(5), 2), (at(10), 5), (at(30), 6)]);
    }
}
