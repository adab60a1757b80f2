//! Hooks that see bodies and trailers, and bytes that stay the plugin's.

use std::ffi::c_void;

use swapgate_abi::{ExchangeTok, SgStr, code};

use super::phase::{body_action, hook};
use crate::guest::call::Raw;
use crate::guest::forward;
use crate::guest::handle::{BodyFilterCall, RequestBodyCall, TrailersCall};
use crate::guest::hooks::{BodyFilter, RequestBody, Trailers};
use crate::status::HostError;

pub(super) unsafe extern "C" fn request_body<T: RequestBody>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    flags: u32,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.request_body(&mut RequestBodyCall::new(raw, flags))?;
        Ok(body_action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn body_filter<T: BodyFilter>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    flags: u32,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        let flow = plugin.body_filter(&mut BodyFilterCall::new(raw, flags))?;
        Ok(body_action(&flow))
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

pub(super) unsafe extern "C" fn trailers<T: Trailers>(
    instance: *mut c_void,
    exchange: ExchangeTok,
    lane: u32,
) -> i32 {
    let run = |plugin: &T, raw: Raw<'_>| {
        plugin.trailers(&mut TrailersCall::new(raw, lane))?;
        Ok(code::SG_CONTINUE)
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    unsafe { hook(instance, exchange, run) }
}

/// Gives bytes to the gateway together with their owner.
pub(in crate::guest) fn append_owned<B>(raw: &mut Raw<'_>, bytes: B) -> Result<(), HostError>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let owner = Box::into_raw(Box::new(bytes));
    // SAFETY: just made, and nobody else knows it.
    let view = SgStr::new(unsafe { &*owner }.as_ref());
    // SAFETY: the owner is not touched before release(), so what it lends stays as it is; it is Send.
    let given = unsafe { raw.body_append_own(view, release::<B>, owner.cast()) };
    if given.is_err() {
        // SAFETY: the gateway did not take it, so it is still ours and nobody else's.
        unsafe { release::<B>(owner.cast()) };
    }
    given
}

unsafe extern "C" fn release<B>(owner: *mut c_void) {
    // SAFETY: called once, by the gateway or where it took nothing, with what append_owned() made.
    let owner = unsafe { Box::from_raw(owner.cast::<B>()) };
    if let Err(text) = forward::barrier(|| drop(owner)) {
        log::error!("the owner of bytes could not be dropped cleanly: {text}");
    }
}
