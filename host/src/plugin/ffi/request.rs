//! Calling the hooks of an exchange.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use swapgate_abi::ReleaseFn;

use super::body;
use super::bound::{Bound, Hook};
use super::event::{Happened, Place};
use crate::context::{Frame, State};

thread_local! {
    /// The frame of the hook that is running on this thread. Hooks do not nest: no host function calls back.
    static RUNNING: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// Calls the hook of the frame's phase; none if the plugin has no such hook. `flags` are for those of bodies.
pub fn call(bound: &Bound, frame: &mut Frame<'_>, flags: u32) -> Option<i32> {
    let hook = bound.hook(frame.phase)?;
    let token = frame.context.token;
    let lane = frame.lane.number();
    let running = Running::enter(frame);
    let result = match hook {
        // SAFETY: hook and instance belong together and the image is mapped, which `Bound` promises for as long as it
        // is borrowed; until the hook returns.
        Hook::Plain(hook) => unsafe { hook(bound.instance, token) },
        // SAFETY: as above.
        Hook::Body(hook) => unsafe { hook(bound.instance, token, flags) },
        // SAFETY: as above.
        Hook::Trailers(hook) => unsafe { hook(bound.instance, token, lane) },
    };
    drop(running);
    #[cfg(debug_assertions)]
    frame.context.lent.expire_all();
    Some(result)
}

/// Tells an event; none if the plugin takes none.
pub fn tell(
    bound: &Bound,
    frame: &mut Frame<'_>,
    happened: &Happened,
    place: Place,
) -> Option<i32> {
    let hook = bound.on_event()?;
    let token = frame.context.token;
    let result = happened.tell(place, |event| {
        let _running = Running::enter(frame);
        // SAFETY: as in `call`; the event and what it points to live until `tell` returns, which is after the hook.
        unsafe { hook(bound.instance, token, ptr::from_ref(event)) }
    });
    #[cfg(debug_assertions)]
    frame.context.lent.expire_all();
    Some(result)
}

/// Calls `request_end`, then releases the states the instance left.
pub fn end(bound: &Bound, frame: &mut Frame<'_>) {
    if let Some(hook) = bound.request_end() {
        let token = frame.context.token;
        let _running = Running::enter(frame);
        // SAFETY: as in `call`.
        unsafe { hook(bound.instance, token) };
    }
    let owner = frame.owner;
    let states = &mut frame.context.states;
    while let Some(position) = states.iter().position(|state| state.owner == owner) {
        release(states.swap_remove(position));
    }
}

/// Gives a state back to its plugin.
fn release(state: State) {
    if let Some(release) = state.release {
        call_release(release, state.pointer);
    }
}

fn call_release(release: ReleaseFn, pointer: *mut c_void) {
    // SAFETY: pointer and function were handed over together in `state_set`; this is the one call it gets, because the
    // entry left the list before; the image is mapped, because its instance is part of the running exchange.
    unsafe { release(pointer) };
}

/// Puts a frame in place for the length of a hook.
struct Running;

impl Running {
    fn enter(frame: &mut Frame<'_>) -> Self {
        RUNNING.set(ptr::from_mut(frame).cast());
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(ptr::null_mut());
        body::release_later();
    }
}

/// Whether a hook is running on this thread.
pub(super) fn is_running() -> bool {
    !RUNNING.get().is_null()
}

/// The frame of the hook that is running on this thread.
pub(super) fn running<'a>() -> Option<&'a mut Frame<'a>> {
    let frame: *mut Frame<'a> = RUNNING.get().cast();
    // SAFETY: not null only between `Running::enter` and its drop, during which the frame is exclusively borrowed by
    // `call` or `end` and not touched there; host functions run one at a time on this thread and return before the
    // hook does, which ends the borrow. The lifetime is as long as the host function needs and no longer: `host::with`
    // hands it to one closure.
    unsafe { frame.as_mut() }
}
