//! A function on its way to a thread of the gateway's pool, and its result on the way back.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use swapgate_abi::{OpTok, ScopeTok, code};

use crate::guest::call::{Gateway, Running};
use crate::guest::forward;
use crate::status::HostError;

/// A function to run.
pub(crate) struct Job<F, T> {
    work: F,
    result: Arc<Mutex<Option<T>>>,
}

/// Where its result will be.
pub(crate) struct Outcome<T>(Arc<Mutex<Option<T>>>);

/// What crosses the line: the job, until it is taken to be run.
struct Crossing<F, T> {
    gateway: Gateway,
    job: Mutex<Option<Job<F, T>>>,
}

pub(crate) fn pair<F, T>(work: F) -> (Job<F, T>, Outcome<T>) {
    let result = Arc::new(Mutex::new(None));
    let there = Arc::clone(&result);
    let job = Job {
        work,
        result: there,
    };
    (job, Outcome(result))
}

impl<T> Outcome<T> {
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F, T> Job<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    pub(crate) fn start(self, gateway: Gateway, scope: ScopeTok) -> Result<OpTok, HostError> {
        let crossing = Box::new(Crossing {
            gateway,
            job: Mutex::new(Some(self)),
        });
        let context = Box::into_raw(crossing).cast::<c_void>();
        // SAFETY: both functions are made for such a pointer, whose content is Send and Sync.
        let started = unsafe { gateway.blocking(scope, work::<F, T>, release::<F, T>, context) };
        if started.is_err() {
            // SAFETY: the gateway took nothing, so it is still ours and nobody else's.
            unsafe { release::<F, T>(context) };
        }
        started
    }
}

unsafe extern "C" fn work<F, T>(context: *mut c_void) -> i32
where
    F: FnOnce() -> T,
{
    // SAFETY: the gateway calls this once, with what start() gave it, before release().
    let crossing = unsafe { &*context.cast::<Crossing<F, T>>() };
    let job = crossing
        .job
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(job) = job else {
        return code::SG_E_FAILED;
    };
    // SAFETY: the table of a gateway stays for as long as code of this image can run.
    let _running = unsafe { Running::enter(crossing.gateway.host(), 0) };
    let ran = forward::barrier(|| {
        let result = (job.work)();
        *job.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        // Where nobody waits any more this drops the result, which is the plugin's code as well.
        drop(job.result);
    });
    ran.map_or(code::SG_E_PANIC, |()| code::SG_OK)
}

unsafe extern "C" fn release<F, T>(context: *mut c_void) {
    // SAFETY: called once, by the gateway or where it took nothing, with what start() made.
    let crossing = unsafe { Box::from_raw(context.cast::<Crossing<F, T>>()) };
    if let Err(text) = forward::barrier(|| drop(crossing)) {
        log::error!("work that was not run could not be dropped cleanly: {text}");
    }
}
