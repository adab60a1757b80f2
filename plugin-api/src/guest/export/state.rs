//! What an instance keeps in an exchange: the state of its hooks, and its tasks that wait.

use std::any::Any;
use std::ffi::c_void;
use std::future::Future;
use std::ptr;

use crate::guest::call::Raw;
use crate::guest::error::Error;
use crate::guest::forward;
use crate::guest::task::Task;
use crate::status::HostError;

/// What a hook left for later ones.
type State = Box<dyn Any + Send>;

/// The task of a hook that waits. What comes out is the code to answer.
pub(super) type HookTask = Task<dyn Future<Output = Result<i32, Error>>>;

/// What lies behind the state pointer of an exchange.
#[derive(Default)]
struct Slot {
    state: Option<State>,
    /// One for each lane. Not Send, so they never outlive the last hook of the exchange.
    tasks: [Option<HookTask>; 2],
}

pub(in crate::guest) fn state_ref<'r>(raw: &'r Raw<'_>) -> Option<&'r (dyn Any + Send)> {
    let slot = raw.state_get().ok()?.cast::<Slot>();
    // SAFETY: the slot belongs to this instance, so what lies there was left by slot_of(); nothing of it changes before
    // `&mut` of the one handle there is in this exchange.
    let state = unsafe { slot.as_ref() }?.state.as_ref()?;
    Some(&**state)
}

pub(in crate::guest) fn state_mut<'r>(raw: &'r mut Raw<'_>) -> Option<&'r mut (dyn Any + Send)> {
    let slot = raw.state_get().ok()?.cast::<Slot>();
    // SAFETY: as in state_ref(); `&mut` of the one handle there is in this exchange makes it the only borrow.
    let state = unsafe { slot.as_mut() }?.state.as_mut()?;
    Some(&mut **state)
}

pub(in crate::guest) fn set_state(raw: &mut Raw<'_>, state: State) -> Result<(), HostError> {
    let before = slot_of(raw)?.state.replace(state);
    // Not before the new one stands there: what it drops may look.
    drop(before);
    Ok(())
}

/// Keeps a task that waits in this lane. Where the gateway does not take it, it ends.
pub(super) fn park(raw: &mut Raw<'_>, lane: usize, task: HookTask) -> Result<(), HostError> {
    let place = slot_of(raw)?.tasks.get_mut(lane);
    let place = place.ok_or(HostError::Invalid)?;
    let before = place.replace(task);
    // There is none, unless the gateway called another hook of a lane that stands still.
    drop(before);
    Ok(())
}

/// Takes the task that waits in this lane.
pub(super) fn unpark(raw: &mut Raw<'_>, lane: usize) -> Option<HookTask> {
    let slot = raw.state_get().ok()?.cast::<Slot>();
    // SAFETY: as in state_ref(); nobody else has a borrow of it, for no hook of this exchange is running.
    let slot = unsafe { slot.as_mut() }?;
    slot.tasks.get_mut(lane)?.take()
}

/// The slot of this instance, which is left in the exchange if there is none.
fn slot_of<'r>(raw: &'r mut Raw<'_>) -> Result<&'r mut Slot, HostError> {
    let mut slot = raw.state_get()?.cast::<Slot>();
    if slot.is_null() {
        slot = Box::into_raw(Box::<Slot>::default());
        // SAFETY: release() is made for such a pointer; what in it is not Send is gone by then.
        let left = unsafe { raw.state_set(slot.cast(), release) };
        if let Err(error) = left {
            // SAFETY: the gateway did not take it, so it is still ours and nobody else's.
            drop(unsafe { Box::from_raw(slot) });
            return Err(error);
        }
    }
    debug_assert_ne!(slot, ptr::null_mut());
    // SAFETY: left above or by an earlier hook of this instance, and `&mut` of the handle makes it the only borrow.
    Ok(unsafe { &mut *slot })
}

unsafe extern "C" fn release(slot: *mut c_void) {
    // SAFETY: the gateway calls this once for a pointer that slot_of() left.
    let slot = unsafe { Box::from_raw(slot.cast::<Slot>()) };
    let Slot { state, tasks } = *slot;
    if tasks.iter().any(Option::is_some) {
        // This may be another thread, where a task must not be dropped. A gateway that keeps the contract ends them.
        log::error!("an exchange ended while a hook waited in it, and its task is lost");
        std::mem::forget(tasks);
    }
    if let Err(text) = forward::barrier(|| drop(state)) {
        log::error!("the state of an exchange could not be dropped cleanly: {text}");
    }
}
