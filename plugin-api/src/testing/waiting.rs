//! The functions of the table that are about waiting.

use std::ffi::c_void;
use std::time::Duration;

use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ScopeTok, SgHost, SgStr, WakeTok, code};

use super::shared::{Slot, State};
use super::table::{give, shared_of, text, with};
use super::world::Doing;
use crate::status::HostError;

pub(super) unsafe extern "C" fn extension(host: *const SgHost, id: SgStr) -> *const c_void {
    // SAFETY: plugins pass the table they were given, which is never freed.
    let shared = unsafe { shared_of(host) };
    // SAFETY: what goes in is readable during the call.
    let id = unsafe { text(id) }.unwrap_or_default();
    shared.areas.find(id)
}

/// Runs with everything there is and turns what that answers into a code.
///
/// # Safety
///
/// `host` is a table of an `Image`.
pub(super) unsafe fn with_state(
    host: *const SgHost,
    run: impl FnOnce(&mut State) -> Result<(), HostError>,
) -> i32 {
    // SAFETY: the caller vouches for the table, which is never freed.
    let mut state = unsafe { shared_of(host) }.lock();
    run(&mut state).map_or_else(HostError::code, |()| code::SG_OK)
}

pub(super) unsafe extern "C" fn sleep(
    host: *const SgHost,
    scope: ScopeTok,
    nanoseconds: u64,
    out: *mut OpTok,
) -> i32 {
    let run = |state: &mut State| {
        let scope = state.scope(scope)?;
        let until = state.world.now() + Duration::from_nanos(nanoseconds);
        let op = state.world.start(scope, Doing::Sleep { until })?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, op) }
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

pub(super) unsafe extern "C" fn op_cancel(host: *const SgHost, scope: ScopeTok, op: OpTok) -> i32 {
    let mut job = None;
    let run = |state: &mut State| {
        state.check_scope(scope)?;
        job = state.world.cancel(scope, op)?;
        Ok(())
    };
    // SAFETY: plugins pass the table they were given.
    let code = unsafe { with_state(host, run) };
    if let Some(job) = job {
        super::area::release(job);
    }
    code
}

pub(super) unsafe extern "C" fn waker(
    host: *const SgHost,
    scope: ScopeTok,
    out: *mut WakeTok,
) -> i32 {
    let run = |state: &mut State| {
        let scope = state.scope(scope)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, state.world.waker(scope)) }
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

pub(super) unsafe extern "C" fn wake(host: *const SgHost, token: WakeTok) -> i32 {
    // SAFETY: plugins pass the table they were given.
    let code = unsafe { with_state(host, |state| state.world.wake(token)) };
    // SAFETY: as above; it is never freed.
    unsafe { shared_of(host) }.rung.notify_all();
    code
}

pub(super) unsafe extern "C" fn tick_every(
    host: *const SgHost,
    instance: InstanceTok,
    ms: u64,
) -> i32 {
    let run = |state: &mut State| {
        if !state.told.on_tick {
            return Err(HostError::Invalid);
        }
        state.world.tick_every(instance, ms)
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with_state(host, run) }
}

pub(super) unsafe extern "C" fn upstream_set(
    host: *const SgHost,
    exchange: ExchangeTok,
    kind: u32,
    value: SgStr,
) -> i32 {
    let run = |slot: &mut Slot| {
        // SAFETY: what goes in is readable during the call.
        let value = unsafe { text(value) }?;
        slot.live.upstream_set(kind, value)
    };
    // SAFETY: plugins pass the table they were given.
    unsafe { with(host, exchange, run) }
}
