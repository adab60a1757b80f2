//! A bounded pool of threads for what takes long: functions of plugins, and looking names up.
//!
//! Threads start when there is work and none is free, and end after a minute without any. A job that nobody wants any
//! more and that has not begun is dropped without running.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use swapgate_abi as abi;
use tokio::sync::oneshot;

use super::{Done, Operation};
use crate::panics::{Part, caught};

/// For how long a thread waits for work before it ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a thread of the pool does. Dropped without running if nobody wants it any more.
pub trait Job: Send {
    /// Does it.
    fn run(self: Box<Self>) -> Done;
}

/// Too many jobs wait for a thread already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many jobs wait for a thread already")]
pub struct Full;

/// How large a pool may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Threads.
    pub threads: usize,
    /// Jobs that wait for one.
    pub queue: usize,
}

/// The pool.
pub struct Pool {
    name: &'static str,
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    bounds: Bounds,
    jobs: VecDeque<Queued>,
    /// Places that were promised and not taken yet.
    promised: usize,
    threads: usize,
    /// Of those, how many wait for work.
    free: usize,
}

struct Queued {
    job: Box<dyn Job>,
    wanted: Arc<AtomicBool>,
    done: oneshot::Sender<Done>,
}

impl Pool {
    /// A pool without threads yet.
    #[must_use]
    pub fn new(name: &'static str, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::new(State {
                bounds,
                jobs: VecDeque::new(),
                promised: 0,
                threads: 0,
                free: 0,
            }),
            work: Condvar::new(),
        })
    }

    /// Changes how large it may become. Threads beyond that end when they have done what they do.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.lock().bounds = bounds;
        self.work.notify_all();
    }

    /// Promises a place in the queue.
    ///
    /// # Errors
    /// There is none.
    pub fn place(self: &Arc<Self>) -> Result<Place, Full> {
        let mut state = self.lock();
        if state.jobs.len() + state.promised >= state.bounds.queue {
            return Err(Full);
        }
        state.promised += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// How many jobs wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    fn put(self: &Arc<Self>, queued: Queued) {
        let mut state = self.lock();
        state.jobs.push_back(queued);
        let short = state.free < state.jobs.len();
        if short && state.threads < state.bounds.threads && self.start_thread() {
            state.threads += 1;
        }
        // Where there is no thread at all, nobody would ever run it. It ends below, without the lock: what is dropped
        // with it belongs to a plugin.
        let hopeless = (state.threads == 0).then(|| state.jobs.pop_back());
        drop(state);
        self.work.notify_one();
        drop(hopeless);
    }

    fn start_thread(self: &Arc<Self>) -> bool {
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || pool.serve());
        if let Err(error) = &started {
            tracing::warn!(%error, pool = self.name, "the system gives no thread for blocking work");
        }
        started.is_ok()
    }

    /// The life of a thread.
    fn serve(&self) {
        while let Some(queued) = self.next() {
            let Queued { job, wanted, done } = queued;
            if !wanted.load(Ordering::Acquire) {
                continue;
            }
            // A panic of ours must not take the thread out of the count. One in a plugin never arrives: it may not leave
            // the function it was thrown in.
            let outcome = caught(Part::Background, || job.run()).unwrap_or_else(|panicked| {
                panicked.say();
                Done::with(abi::SG_E_FAILED)
            });
            // Nobody may be waiting any more; then what it came to ends here.
            let _ = done.send(outcome);
        }
    }

    /// The next job; none if this thread is not needed any more.
    fn next(&self) -> Option<Queued> {
        let mut state = self.lock();
        while state.threads <= state.bounds.threads {
            if let Some(queued) = state.jobs.pop_front() {
                return Some(queued);
            }
            state.free += 1;
            let (woken, waited) = self
                .work
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.free -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        // The call that woke this one may have meant a job.
        self.work.notify_one();
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.name)
    }
}

/// A promised place in the queue; given back if it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Pool>);

impl Place {
    /// Queues a job. Dropping the operation says that nobody wants it any more.
    #[must_use]
    pub fn run(self, job: Box<dyn Job>) -> Operation {
        let (done, result) = oneshot::channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let waiter = Waiter(Arc::clone(&wanted));
        let pool = Arc::clone(&self.0);
        // The promise ends and the job takes its place; between the two the queue is one short, which harms nobody.
        drop(self);
        pool.put(Queued { job, wanted, done });
        Box::pin(async move {
            let _waiter = waiter;
            result.await.unwrap_or(Done::with(abi::SG_E_FAILED))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.promised = state.promised.saturating_sub(1);
    }
}

/// Whoever waits for a job.
struct Waiter(Arc<AtomicBool>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::plugin::testing::run;

    /// Does what it is told, and says when it is dropped.
    struct Told<F: FnOnce() -> i32 + Send> {
        work: F,
        dropped: mpsc::Sender<&'static str>,
    }

    impl<F: FnOnce() -> i32 + Send> Job for Told<F> {
        fn run(self: Box<Self>) -> Done {
            let Self { work, dropped } = *self;
            let done = Done::with(work());
            let _ = dropped.send("ran");
            done
        }
    }

    fn job<F: FnOnce() -> i32 + Send + 'static>(
        dropped: &mpsc::Sender<&'static str>,
        work: F,
    ) -> Box<dyn Job> {
        let dropped = dropped.clone();
        Box::new(Told { work, dropped })
    }

    const SMALL: Bounds = Bounds {
        threads: 1,
        queue: 2,
    };

    #[test]
    fn jobs_run_on_another_thread_and_the_queue_is_bounded() {
        let pool = Pool::new("blocking", SMALL);
        let (told, heard) = mpsc::channel();
        let (begun, began) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let here = thread::current().id();
        let slow = pool.place().expect("a place").run(job(&told, move || {
            let _ = begun.send(());
            let _ = gate.recv();
            i32::from(thread::current().id() != here)
        }));
        began.recv().expect("the job begins");
        // One runs; two may wait, one as a promise.
        let unwanted = pool.place().expect("a place").run(job(&told, || 9));
        let promise = pool.place().expect("a place");
        assert_eq!(pool.place().expect_err("no place"), Full);
        drop(promise);
        let last = pool.place().expect("a place").run(job(&told, || 7));
        drop(unwanted);
        drop(go);
        assert_eq!(run(slow).result, 1);
        assert_eq!(run(last).result, 7);
        drop(told);
        // The one in the middle never ran.
        assert_eq!(heard.iter().count(), 2);
    }

    #[test]
    fn a_panic_of_ours_costs_no_thread() {
        let pool = Pool::new("blocking", SMALL);
        let (told, _heard) = mpsc::channel();
        let broken = pool.place().expect("a place");
        let broken = broken.run(job(&told, || panic!("on purpose")));
        assert_eq!(run(broken).result, abi::SG_E_FAILED);
        let next = pool.place().expect("a place").run(job(&told, || 3));
        assert_eq!(run(next).result, 3);
    }
}
