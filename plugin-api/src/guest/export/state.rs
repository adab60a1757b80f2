//! What an instance leaves in an exchange.

use std::any::Any;
use std::ffi::c_void;

use crate::guest::call::Raw;
use crate::guest::forward;
use crate::status::HostError;

/// What lies behind a state pointer. One more box, because a trait object is two pointers wide.
type State = Box<dyn Any + Send>;

pub(in crate::guest) fn state_ref<'r>(raw: &'r Raw<'_>) -> Option<&'r (dyn Any + Send)> {
    let state = raw.state_get().ok()?.cast::<State>();
    // SAFETY: the slot belongs to this instance, so what lies there was left by set_state(); it is released at the
    // earliest when it is replaced, which takes `&mut`.
    unsafe { state.as_ref() }.map(|state| &**state)
}

pub(in crate::guest) fn state_mut<'r>(raw: &'r mut Raw<'_>) -> Option<&'r mut (dyn Any + Send)> {
    let state = raw.state_get().ok()?.cast::<State>();
    // SAFETY: as in state_ref(); `&mut` of the one handle there is in this exchange makes it the only borrow.
    unsafe { state.as_mut() }.map(|state| &mut **state)
}

pub(in crate::guest) fn set_state(raw: &mut Raw<'_>, state: State) -> Result<(), HostError> {
    let state = Box::into_raw(Box::new(state));
    // SAFETY: release() is made for such a pointer, and the value is Send.
    let left = unsafe { raw.state_set(state.cast(), release) };
    if left.is_err() {
        // SAFETY: the gateway did not take it, so it is still ours and nobody else's.
        unsafe { release(state.cast()) };
    }
    left
}

unsafe extern "C" fn release(state: *mut c_void) {
    // SAFETY: the gateway calls this once for a pointer that set_state() left.
    let state = unsafe { Box::from_raw(state.cast::<State>()) };
    if let Err(text) = forward::barrier(|| drop(state)) {
        log::error!("the state of an exchange could not be dropped cleanly: {text}");
    }
}
