//! The tasks of an instance, outside of exchanges.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swapgate_abi::{InstanceTok, SgEvent, WakeTok, code};

use super::{Polled, Task};
use crate::guest::call::Gateway;
use crate::status::HostError;

type Work = Task<dyn Future<Output = ()> + Send>;

/// The background of an instance: what it does outside of exchanges, from [`Begin::begin`](crate::Begin::begin) until it
/// is destroyed.
///
/// A handle; copies lead to the same background and may go to other threads.
#[derive(Clone)]
pub struct Background(Arc<Shared>);

struct Shared {
    gateway: Gateway,
    instance: InstanceTok,
    wake: WakeTok,
    /// Spawned and not yet polled.
    new: Mutex<Vec<Work>>,
    over: AtomicBool,
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

impl Background {
    /// Has a future driven to its end, on the thread the gateway keeps for control calls. So it must not block for long;
    /// [`ops::blocking`](crate::ops::blocking) is for what does. It is dropped when the instance is destroyed.
    ///
    /// # Errors
    ///
    /// [`HostError::Stale`]: the instance is about to be destroyed.
    pub fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), HostError> {
        let shared = &self.0;
        let work: Work = Task::of_instance(shared.gateway, shared.instance, Box::pin(future));
        work.mark_woken();
        let mut new = lock(&shared.new);
        if shared.over.load(Ordering::SeqCst) {
            drop(new);
            return Err(HostError::Stale);
        }
        new.push(work);
        drop(new);
        shared.gateway.wake(shared.wake)
    }

    /// Has [`Tick::tick`](crate::Tick::tick) called with this period from now on; zero ends that.
    ///
    /// # Errors
    ///
    /// [`HostError::Invalid`]: less than 10 ms, or there is no such hook.
    pub fn tick_every(&self, period: Duration) -> Result<(), HostError> {
        tick_every(self.0.gateway, self.0.instance, period)
    }
}

pub(in crate::guest) fn tick_every(
    gateway: Gateway,
    instance: InstanceTok,
    period: Duration,
) -> Result<(), HostError> {
    // What is left of a millisecond must not turn a short period into none.
    let ms = u64::try_from(period.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    gateway.tick_every(instance, ms)
}

/// Drives the tasks of one background.
pub(in crate::guest) struct Driver {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<Work>>,
}

impl Driver {
    pub(in crate::guest) fn new(
        gateway: Gateway,
        instance: InstanceTok,
    ) -> Result<Self, HostError> {
        Ok(Self {
            shared: Arc::new(Shared {
                gateway,
                instance,
                wake: gateway.waker(instance)?,
                new: Mutex::default(),
                over: AtomicBool::new(false),
            }),
            tasks: Mutex::default(),
        })
    }

    pub(in crate::guest) fn handle(&self) -> Background {
        Background(Arc::clone(&self.shared))
    }

    /// Takes note of an event and polls whom it is for; answers a code.
    ///
    /// # Safety
    ///
    /// `event` is readable for this call, with all it points to.
    pub(in crate::guest) unsafe fn on_event(&self, event: &SgEvent) -> i32 {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        if event.kind == code::SG_EVENT_OP_DONE {
            for task in &tasks {
                // SAFETY: the caller vouches for the event.
                if unsafe { task.complete(event) } {
                    task.mark_woken();
                    break;
                }
            }
        }
        // Once round: whoever is woken meanwhile has rung, and that is an event of its own.
        tasks.append(&mut lock(&self.shared.new));
        let (woken, mut tasks): (Vec<_>, Vec<_>) = tasks.into_iter().partition(Task::is_woken);
        let code = poll_all(woken, &mut tasks);
        lock(&self.tasks).append(&mut tasks);
        code
    }

    /// Drops every task. None can be added afterwards.
    pub(in crate::guest) fn end(&self) {
        let mut new = lock(&self.shared.new);
        self.shared.over.store(true, Ordering::SeqCst);
        let mut tasks = std::mem::take(&mut *new);
        drop(new);
        tasks.append(&mut lock(&self.tasks));
        // Each drops behind the barrier of its own.
        drop(tasks);
    }
}

/// Polls each; those that wait go to `idle`. Zero, or the code of the last one that did not end well.
fn poll_all(woken: Vec<Work>, idle: &mut Vec<Work>) -> i32 {
    let mut code = code::SG_OK;
    for mut task in woken {
        match task.poll() {
            Polled::Pending => idle.push(task),
            Polled::Ready(()) => {
                if !task.end() {
                    code = code::SG_E_PANIC;
                }
            }
            Polled::Panicked => {
                task.end();
                code = code::SG_E_PANIC;
            }
            Polled::Failed(error) => {
                log::error!("a task of the background cannot go on: {error}");
                task.end();
                code = error.code();
            }
        }
    }
    code
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
