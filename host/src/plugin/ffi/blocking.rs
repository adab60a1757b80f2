//! `sg.blocking/1`: functions of a plugin on the pool for what takes long.
//!
//! What the plugin passed along ends exactly once: after the event, because the plugin may read it there, or when nobody
//! wants the result any more. Never within a host function, which calls nobody back; and not at all if the answer to the
//! call was an error.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use swapgate_abi as abi;
use swapgate_abi::{OpTok, ReleaseFn, ScopeTok, SgHost, WorkFn};

use super::waiting::begin;
use crate::context::Denied;
use crate::fault::label;
use crate::mark;
use crate::ops::blocking::{Full, Job};
use crate::ops::{Data, Done, Held, background};
use crate::plugin::image::Image;

pub(super) unsafe extern "C" fn start(
    host: *const SgHost,
    scope: ScopeTok,
    work: Option<WorkFn>,
    release: Option<ReleaseFn>,
    context: *mut c_void,
    out: *mut OpTok,
) -> i32 {
    let mut passed: Option<Arc<Context>> = None;
    let code = begin(host, scope, out, |caller| {
        let work = work.ok_or(Denied::Invalid)?;
        let place = caller.services.blocking.place();
        let place = place.map_err(|Full| Denied::Unavailable)?;
        let context = Arc::new(Context {
            pointer: context,
            release,
            owned: AtomicBool::new(true),
            image: caller.image().ok_or(Denied::Stale)?,
        });
        passed = Some(Arc::clone(&context));
        let job = Box::new(Call { work, context });
        Ok(Box::new(move || place.run(job)))
    });
    if let Some(context) = passed {
        if code != abi::SG_OK {
            context.owned.store(false, Ordering::Release);
        }
        // All of it may be over by now, on other threads; then this is the last one, and what it ends must end there.
        if let Some(last) = Arc::into_inner(context).filter(|_| code == abi::SG_OK) {
            background::drop_elsewhere(Box::new(last));
        }
    }
    code
}

/// What a plugin passed along.
struct Context {
    pointer: *mut c_void,
    release: Option<ReleaseFn>,
    /// Whether it was taken over.
    owned: AtomicBool,
    /// Keeps the code mapped; dropped after `drop` has called it for the last time.
    image: Arc<Image>,
}

// SAFETY: the contract says that `work` and `release` are called with the pointer on other threads, one after the other;
// the gateway never looks behind it. Until `release` was called.
unsafe impl Send for Context {}
// SAFETY: as above; what several threads do with it at once is reading the pointer.
unsafe impl Sync for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        let Some(release) = self.release.filter(|_| *self.owned.get_mut()) else {
            return;
        };
        // SAFETY: function and pointer were passed together; this is the only call, for it is the only drop; the image is
        // mapped, for it is held until after this.
        unsafe { release(self.pointer) };
    }
}

/// A call of a function that takes long.
struct Call {
    work: WorkFn,
    context: Arc<Context>,
}

impl Job for Call {
    fn run(self: Box<Self>) -> Done {
        let label = label::of(self.context.image.identity());
        let _mark = mark::enter_control(label.index, "a blocking function");
        // SAFETY: function and pointer were passed together and not released, for the context is held; the image is mapped,
        // for the context holds it; until the function returns.
        let result = unsafe { (self.work)(self.context.pointer) };
        Done {
            result,
            data: Data::Held(Held::new(self.context)),
        }
    }
}
