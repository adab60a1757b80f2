//! The thread for foreign control calls: load, configure, start, destroy, unload. One call at a time, each with a
//! deadline. A call that misses it keeps its thread, is shown as stuck, and a fresh thread takes the rest, so that a
//! plugin that hangs never holds up anything but itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread for foreign control calls, from the side of control.
#[derive(Clone)]
pub struct Foreign {
    /// One call at a time, in the order asked.
    turn: Arc<tokio::sync::Mutex<Option<mpsc::Sender<Job>>>>,
    stuck: Arc<Mutex<Vec<StuckCall>>>,
}

/// A call that did not return in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StuckCall {
    /// The plugin, as `id@version`.
    pub plugin: String,
    /// The hook.
    pub hook: &'static str,
    /// When it was called.
    pub since: SystemTime,
    #[serde(skip)]
    number: u64,
}

/// Why a call has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResult {
    /// It did not return within this time.
    Stuck(Duration),
    /// The system gives no more threads, or the call panicked on our side.
    NoThread,
}

impl Default for Foreign {
    fn default() -> Self {
        Self::new()
    }
}

impl Foreign {
    /// Starts the thread, if the system gives one; else the first call does. Later there may be no memory for it.
    #[must_use]
    pub fn new() -> Self {
        let mut thread = None;
        let _ = submit(&mut thread, Box::new(|| {}));
        Self {
            turn: Arc::new(tokio::sync::Mutex::new(thread)),
            stuck: Arc::default(),
        }
    }

    /// Runs `work`, which calls `hook` of `plugin`, on the thread for foreign calls, and waits at most `deadline` for
    /// its result. What a late call yields is dropped on its own thread.
    ///
    /// # Errors
    /// It did not return in time, or could not be called.
    pub async fn call<T: Send + 'static>(
        &self,
        plugin: String,
        hook: &'static str,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let mut turn = self.turn.lock().await;
        let (done, result) = oneshot::channel();
        let call = StuckCall {
            plugin,
            hook,
            since: SystemTime::now(),
            number: next_number(),
        };
        let (number, list) = (call.number, Arc::clone(&self.stuck));
        let job: Job = Box::new(move || {
            let value = work();
            // Nobody waits any more after the deadline; the value is dropped here, on its own thread.
            let _ = done.send(value);
            lock(&list).retain(|stuck| stuck.number != number);
        });
        submit(&mut turn, job)?;
        match tokio::time::timeout(deadline, result).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => {
                *turn = None;
                Err(NoResult::NoThread)
            }
            Err(_) => {
                tracing::error!(plugin = call.plugin, hook, "a call did not return in time");
                lock(&self.stuck).push(call);
                // The thread is the stuck call's now. It ends when the call returns, since nobody sends to it any more.
                *turn = None;
                Err(NoResult::Stuck(deadline))
            }
        }
    }

    /// The calls that have not returned in time and still run.
    #[must_use]
    pub fn stuck(&self) -> Vec<StuckCall> {
        lock(&self.stuck).clone()
    }
}

fn submit(thread: &mut Option<mpsc::Sender<Job>>, job: Job) -> Result<(), NoResult> {
    let job = match thread.as_ref() {
        None => job,
        Some(sender) => match sender.send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::SendError(job)) => job,
        },
    };
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name("foreign".to_owned())
        .spawn(move || {
            while let Ok(job) = jobs.recv() {
                job();
            }
        })
        .map_err(|_| NoResult::NoThread)?;
    sender.send(job).map_err(|_| NoResult::NoThread)?;
    *thread = Some(sender);
    Ok(())
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn lock(list: &Mutex<Vec<StuckCall>>) -> MutexGuard<'_, Vec<StuckCall>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::run;

    #[test]
    fn a_stuck_call_keeps_its_thread_and_the_rest_goes_on() {
        run(async {
            let foreign = Foreign::new();
            let (release, held) = mpsc::channel::<()>();
            let stuck = foreign
                .call(
                    "a@1.0.0".to_owned(),
                    "destroy",
                    Duration::from_millis(20),
                    move || {
                        let _ = held.recv();
                    },
                )
                .await;
            assert_eq!(stuck, Err(NoResult::Stuck(Duration::from_millis(20))));
            assert_eq!(foreign.stuck().len(), 1);
            assert_eq!(foreign.stuck()[0].hook, "destroy");

            let next = foreign
                .call("b@1.0.0".to_owned(), "load", Duration::from_secs(30), || 7)
                .await;
            assert_eq!(next, Ok(7));

            drop(release);
            while !foreign.stuck().is_empty() {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn calls_share_one_thread() {
        run(async {
            let foreign = Foreign::new();
            let mut threads = Vec::new();
            for _ in 0..3 {
                let id = foreign
                    .call(
                        "a@1.0.0".to_owned(),
                        "load",
                        Duration::from_secs(30),
                        || thread::current().id(),
                    )
                    .await;
                threads.push(id.expect("returns"));
            }
            assert!(threads.iter().all(|id| *id == threads[0]));
        });
    }
}
