//! Hooks that wait, and the events that let them go on.

use std::ffi::c_void;
use std::future::Future;

use swapgate_abi::{ExchangeTok, SgEvent, code};

use super::control::instance_of;
use super::entry::sized;
use super::phase::{action, body_action};
use super::state::{self, HookTask};
use crate::guest::call::{Raw, Running};
use crate::guest::error::Error;
use crate::guest::forward;
use crate::guest::handle::waiting::{
    AsyncAccessCall, AsyncBodyFilterCall, AsyncHeaderFilterCall, AsyncRequestBodyCall,
    AsyncRewriteCall,
};
use crate::guest::hooks::{
    AsyncAccess, AsyncBodyFilter, AsyncHeaderFilter, AsyncRequestBody, AsyncRewrite, Plugin,
    RequestEnd,
};
use crate::guest::task::{Polled, Task};

const REQUEST: usize = 0;
const RESPONSE: usize = 1;

/// Polls what a hook made, and keeps it if it has to wait.
///
/// # Safety
///
/// As `instance_of`, until `request_end` of the exchange.
unsafe fn begin<T: Plugin, F>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    lane: usize,
    make: impl FnOnce(&'static T) -> F,
) -> i32
where
    F: Future<Output = Result<i32, Error>> + 'static,
{
    // SAFETY: the caller vouches for it until request_end; tasks are dropped there at the latest, so none of them sees that
    // it is not for ever.
    let instance = unsafe { instance_of::<T>(instance) };
    // SAFETY: the table of an instance is complete (entry) and valid until unload.
    let _running = unsafe { Running::enter(instance.host, exchange) };
    // SAFETY: as above.
    let mut raw = unsafe { Raw::new(instance.host, exchange) };
    let Ok(future) = forward::barrier(|| Box::pin(make(&instance.plugin))) else {
        return code::SG_E_PANIC;
    };
    let task: HookTask = Task::new(raw.gateway(), exchange, future);
    poll(&mut raw, lane, task)
}

fn poll(raw: &mut Raw<'_>, lane: usize, mut task: HookTask) -> i32 {
    let (code, clean) = match task.poll() {
        Polled::Pending => {
            return match state::park(raw, lane, task) {
                Ok(()) => code::SG_PENDING,
                Err(error) => error.code(),
            };
        }
        Polled::Ready(Ok(code)) => (code, task.end()),
        Polled::Ready(Err(error)) => {
            // A gateway that does not take the text has said so to itself.
            let _ = raw.set_error(&error.to_string());
            (error.code(), task.end())
        }
        Polled::Panicked => {
            task.end();
            (code::SG_E_PANIC, true)
        }
        Polled::Failed(error) => {
            let _ = raw.set_error(&format!("what it waits for can never come: {error}"));
            (error.code(), task.end())
        }
    };
    if clean { code } else { code::SG_E_PANIC }
}

pub(super) unsafe extern "C" fn rewrite<T: AsyncRewrite>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let make = |plugin: &'static T| async move {
        let call = AsyncRewriteCall::new(exchange, 0);
        Ok(action(&plugin.rewrite(call).await?))
    };
    // SAFETY: the gateway passes an instance that configure() made, and destroys it after its last exchange.
    unsafe { begin(instance, exchange, REQUEST, make) }
}

pub(super) unsafe extern "C" fn access<T: AsyncAccess>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let make = |plugin: &'static T| async move {
        let call = AsyncAccessCall::new(exchange, 0);
        Ok(action(&plugin.access(call).await?))
    };
    // SAFETY: as in rewrite().
    unsafe { begin(instance, exchange, REQUEST, make) }
}

pub(super) unsafe extern "C" fn header_filter<T: AsyncHeaderFilter>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let make = |plugin: &'static T| async move {
        let call = AsyncHeaderFilterCall::new(exchange, 0);
        plugin.header_filter(call).await?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: as in rewrite().
    unsafe { begin(instance, exchange, RESPONSE, make) }
}

pub(super) unsafe extern "C" fn request_body<T: AsyncRequestBody>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    flags: u32,
) -> i32 {
    let make = |plugin: &'static T| async move {
        let call = AsyncRequestBodyCall::new(exchange, flags);
        Ok(body_action(&plugin.request_body(call).await?))
    };
    // SAFETY: as in rewrite().
    unsafe { begin(instance, exchange, REQUEST, make) }
}

pub(super) unsafe extern "C" fn body_filter<T: AsyncBodyFilter>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    flags: u32,
) -> i32 {
    let make = |plugin: &'static T| async move {
        let call = AsyncBodyFilterCall::new(exchange, flags);
        Ok(body_action(&plugin.body_filter(call).await?))
    };
    // SAFETY: as in rewrite().
    unsafe { begin(instance, exchange, RESPONSE, make) }
}

pub(super) unsafe extern "C" fn on_event<T: Plugin>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    event: *const SgEvent,
) -> i32 {
    // SAFETY: by the contract an event is null or begins with its size, and stays until this returns.
    let Some(event) = (unsafe { sized(event, |event| event.struct_size) }) else {
        return code::SG_E_INVALID;
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    // SAFETY: the table of an instance is complete (entry) and valid until unload.
    let _running = unsafe { Running::enter(instance.host, exchange) };
    // SAFETY: as above.
    let mut raw = unsafe { Raw::new(instance.host, exchange) };
    let lane = if event.lane == code::SG_LANE_RESPONSE {
        RESPONSE
    } else {
        REQUEST
    };
    let Some(task) = state::unpark(&mut raw, lane) else {
        // Nobody waits; the event is late.
        return code::SG_CONTINUE;
    };
    let go_on = match event.kind {
        // SAFETY: the event stays until this returns, with all it points to.
        code::SG_EVENT_OP_DONE => unsafe { task.complete(event) },
        code::SG_EVENT_WAKE => true,
        code::SG_EVENT_CANCEL => {
            task.end();
            return code::SG_CONTINUE;
        }
        // A hint, or a kind that this version does not know.
        _ => false,
    };
    if go_on {
        return poll(&mut raw, lane, task);
    }
    match state::park(&mut raw, lane, task) {
        Ok(()) => code::SG_PENDING,
        Err(error) => error.code(),
    }
}

/// Drops what still waits in an exchange that is over.
///
/// # Safety
///
/// As `instance_of`, for the time of the call.
unsafe fn end_tasks<T: Plugin>(instance: *mut c_void, exchange: ExchangeTok) {
    // SAFETY: the caller vouches for it.
    let instance = unsafe { instance_of::<T>(instance) };
    // SAFETY: the table of an instance is complete (entry) and valid until unload.
    let _running = unsafe { Running::enter(instance.host, exchange) };
    // SAFETY: as above.
    let mut raw = unsafe { Raw::new(instance.host, exchange) };
    for lane in [REQUEST, RESPONSE] {
        if let Some(task) = state::unpark(&mut raw, lane) {
            task.end();
        }
    }
}

/// The last call, of a plugin that waits and has no such hook of its own.
pub(super) unsafe extern "C" fn end<T: Plugin>(instance: *mut c_void, exchange: ExchangeTok) {
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { end_tasks::<T>(instance, exchange) };
}

/// The last call, of a plugin that waits and has such a hook.
pub(super) unsafe extern "C" fn end_both<T: RequestEnd>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) {
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { end_tasks::<T>(instance, exchange) };
    // SAFETY: as above.
    unsafe { super::phase::request_end::<T>(instance, exchange) };
}
