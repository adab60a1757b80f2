//! The hooks of exchanges.

use std::ffi::c_void;

use swapgate_abi::{ExchangeTok, code};

use super::control::instance_of;
use crate::guest::call::{Raw, Running};
use crate::guest::error::Error;
use crate::guest::forward;
use crate::guest::handle::{AccessCall, EndCall, HeaderFilterCall, LogCall, RewriteCall};
use crate::guest::hooks::{Access, HeaderFilter, Log, Plugin, RequestEnd, Rewrite};
use crate::guest::response::{BodyFlow, Flow};

/// Runs a hook behind the barrier and says why it failed.
///
/// # Safety
///
/// As `instance_of`, for the time of the call.
pub(super) unsafe fn hook<T: Plugin>(
    instance: *mut c_void,
    token: ExchangeTok,
    run: impl FnOnce(&T, Raw<'_>) -> Result<i32, Error>,
) -> i32 {
    // SAFETY: the caller vouches for it.
    let instance = unsafe { instance_of::<T>(instance) };
    // SAFETY: the table of an instance is complete (entry) and valid until unload.
    let _running = unsafe { Running::enter(instance.host, token) };
    // SAFETY: as above.
    let raw = unsafe { Raw::new(instance.host, token) };
    match forward::barrier(|| run(&instance.plugin, raw)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            // SAFETY: as above. A gateway that does not take the text has said so to itself.
            let mut raw = unsafe { Raw::new(instance.host, token) };
            let _ = raw.set_error(&error.to_string());
            error.code()
        }
        // The panic hook has told the gateway already, with the place.
        Err(_) => code::SG_E_PANIC,
    }
}

pub(super) fn action(flow: &Flow) -> i32 {
    match flow {
        Flow::Continue => code::SG_CONTINUE,
        Flow::Respond(_) => code::SG_RESPOND,
    }
}

pub(super) fn body_action(flow: &BodyFlow) -> i32 {
    match flow {
        BodyFlow::Continue => code::SG_CONTINUE,
        BodyFlow::Buffer => code::SG_BUFFER,
        BodyFlow::Respond(_) => code::SG_RESPOND,
    }
}

pub(super) unsafe extern "C" fn rewrite<T: Rewrite>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.rewrite(&mut RewriteCall::new(raw, 0))?;
        Ok(action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn access<T: Access>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.access(&mut AccessCall::new(raw, 0))?;
        Ok(action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn header_filter<T: HeaderFilter>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.header_filter(&mut HeaderFilterCall::new(raw, 0))?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn log<T: Log>(instance: *mut c_void, exchange: ExchangeTok) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.log(&mut LogCall::new(raw, 0))?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn request_end<T: RequestEnd>(
    instance: *mut c_void,
    exchange: ExchangeTok,
) {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.request_end(&mut EndCall::new(raw, 0));
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) };
}
