//! The table the plugin calls, and what its functions work on.

use std::ffi::c_void;

use log::Level;
use swapgate_abi::{ExchangeTok, ReleaseFn, SgHeader, SgHost, SgStr, code};

use super::LogLine;
use super::body::{
    body_append, body_append_own, body_drain, body_hold, body_ignore, body_len, body_pieces,
    body_replace,
};
use super::count::{metric_add, metric_declare, metric_observe, metric_set};
use super::shared::{Left, Shared, Slot};
use super::waiting::{extension, op_cancel, sleep, tick_every, upstream_set, wake, waker};
use crate::guest::export;
use crate::guest::response::Response;
use crate::status::HostError;
use crate::version::Range;
use crate::view;

pub(super) fn table(private_: *const c_void) -> SgHost {
    SgHost {
        struct_size: export::size_of_u32::<SgHost>(),
        abi_minor: Range::CURRENT.max_minor,
        private_,
        log,
        attr_text,
        attr_number,
        attr_set,
        param_get,
        param_nth,
        header_get,
        header_nth,
        headers_list,
        header_set,
        header_append,
        header_remove,
        respond,
        var_get,
        var_set,
        state_get,
        state_set,
        consumer_get,
        consumer_set,
        set_error,
        metric_declare,
        metric_add,
        metric_set,
        metric_observe,
        extension,
        sleep,
        op_cancel,
        waker,
        wake,
        tick_every,
        upstream_set,
        body_len,
        body_pieces,
        body_drain,
        body_replace,
        body_append,
        body_append_own,
        body_hold,
        body_ignore,
    }
}

/// Finds the exchange a function is about and turns what it answers into a code.
///
/// # Safety
///
/// `host` is a table of an [`Image`] that still lives.
pub(super) unsafe fn with(
    host: *const SgHost,
    token: ExchangeTok,
    run: impl FnOnce(&mut Slot) -> Result<(), HostError>,
) -> i32 {
    // SAFETY: the caller vouches for the table.
    let shared = unsafe { shared_of(host) };
    let mut state = shared.lock();
    let answer = state.exchange(token).and_then(run);
    answer.map_or_else(HostError::code, |()| code::SG_OK)
}

/// What stands beside a table.
///
/// # Safety
///
/// `host` is a table of an [`Image`] that lives for `'a`.
pub(super) unsafe fn shared_of<'a>(host: *const SgHost) -> &'a Shared {
    // SAFETY: the caller vouches for the table.
    let private_ = unsafe { (*host).private_ };
    // SAFETY: enter() put the address of the Shared there, and the image keeps both.
    unsafe { &*private_.cast::<Shared>() }
}

/// The text a plugin passed.
///
/// # Safety
///
/// As [`view::bytes`], for the time of the call.
pub(super) unsafe fn text<'a>(view: SgStr) -> Result<&'a str, HostError> {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { bytes(view) }?;
    std::str::from_utf8(bytes).map_err(|_| HostError::Invalid)
}

/// The bytes a plugin passed.
///
/// # Safety
///
/// As [`view::bytes`], for the time of the call.
pub(super) unsafe fn bytes<'a>(view: SgStr) -> Result<&'a [u8], HostError> {
    if view.ptr.is_null() && view.len > 0 {
        return Err(HostError::Invalid);
    }
    // SAFETY: the caller vouches for it.
    Ok(unsafe { view::bytes(view) })
}

/// Gives a value to the plugin.
///
/// # Safety
///
/// `out` is null or writable.
pub(super) unsafe fn give<T>(out: *mut T, value: T) -> Result<(), HostError> {
    if out.is_null() {
        return Err(HostError::Invalid);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a function of the table: arguments in, `Result<(), HostError>` out. The body runs with the running exchange.
macro_rules! functions {
    ($(fn $name:ident($slot:ident $(, $arg:ident: $ty:ty)*) $body:block)*) => {$(
        unsafe extern "C" fn $name(
            host: *const SgHost,
            exchange: ExchangeTok
            $(, $arg: $ty)*
        ) -> i32 {
            let run = |$slot: &mut Slot| $body;
            // SAFETY: plugins pass the table they were given, which outlives them.
            unsafe { with(host, exchange, run) }
        }
    )*};
}

functions! {
    fn attr_text(slot, attr: u32, out: *mut SgStr) {
        let text = slot.live.attr_text(attr)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(text)) }
    }

    fn attr_number(slot, attr: u32, out: *mut u64) {
        let number = slot.live.attr_number(attr)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, number) }
    }

    fn attr_set(slot, attr: u32, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.attr_set(attr, &value)
    }

    fn param_get(slot, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.param(name)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value.as_bytes())) }
    }

    fn param_nth(slot, index: usize, name: *mut SgStr, value: *mut SgStr) {
        let (found, is) = slot.live.param_nth(index)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(name, SgStr::new(found.as_bytes())) }?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(value, SgStr::new(is.as_bytes())) }
    }

    fn header_get(slot, map: u32, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.header(map, name, 0)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn header_nth(slot, map: u32, name: SgStr, index: usize, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.header(map, name, index)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn headers_list(slot, map: u32, out: *mut SgHeader, cap: usize, count: *mut usize) {
        let headers = slot.live.headers(map)?;
        if out.is_null() && cap > 0 {
            return Err(HostError::Invalid);
        }
        for (index, (name, value)) in headers.iter().take(cap).enumerate() {
            let (name, value) = (SgStr::new(name.as_bytes()), SgStr::new(value));
            // SAFETY: plugins pass room for `cap` entries, and `index` is below that.
            let entry = unsafe { out.add(index) };
            // SAFETY: as above.
            unsafe { give(entry, SgHeader { name, value }) }?;
        }
        // SAFETY: plugins pass room for the answer.
        unsafe { give(count, headers.iter().len()) }
    }

    fn header_set(slot, map: u32, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.header_add(map, &name, &value, true)
    }

    fn header_append(slot, map: u32, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.header_add(map, &name, &value, false)
    }

    fn header_remove(slot, map: u32, name: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        slot.live.header_remove(map, &name)
    }

    fn respond(slot, status: u32, headers: *const SgHeader, count: usize, body: SgStr) {
        if headers.is_null() && count > 0 {
            return Err(HostError::Invalid);
        }
        let status = u16::try_from(status).map_err(|_| HostError::Invalid)?;
        let mut answer = Response::new(status);
        for index in 0..count {
            // SAFETY: plugins pass `count` entries, readable during the call.
            let entry = unsafe { headers.add(index) };
            // SAFETY: as above.
            let SgHeader { name, value } = unsafe { entry.read() };
            // SAFETY: what goes in is readable during the call.
            let name = unsafe { text(name) }?;
            // SAFETY: as above.
            answer = answer.header(name, unsafe { bytes(value) }?);
        }
        // SAFETY: what goes in is readable during the call.
        slot.live.respond(answer.body(unsafe { bytes(body) }?))
    }

    fn var_get(slot, name: SgStr, out: *mut SgStr) {
        // SAFETY: what goes in is readable during the call.
        let name = unsafe { text(name) }?;
        let value = slot.live.var(name)?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(value)) }
    }

    fn var_set(slot, name: SgStr, value: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let name = unsafe { text(name) }?.to_owned();
        // SAFETY: as above.
        let value = unsafe { bytes(value) }?.to_vec();
        slot.live.var_set(&name, &value)
    }

    fn state_get(slot, out: *mut *mut c_void) {
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, slot.state.state) }
    }

    fn state_set(slot, state: *mut c_void, release: Option<ReleaseFn>) {
        let left = Left { state, release };
        slot.replaced.push(std::mem::replace(&mut slot.state, left));
        Ok(())
    }

    fn consumer_get(slot, out: *mut SgStr) {
        let consumer = slot.live.consumer()?;
        // SAFETY: plugins pass room for the answer.
        unsafe { give(out, SgStr::new(consumer.as_bytes())) }
    }

    fn consumer_set(slot, consumer: SgStr) {
        // SAFETY: what goes in is readable during the call; copied, as it may be a view of what is changed.
        let consumer = unsafe { bytes(consumer) }?.to_vec();
        slot.live.consumer_set(&consumer)
    }

    fn set_error(slot, why: SgStr) {
        // SAFETY: what goes in is readable during the call.
        let why = unsafe { text(why) }?;
        slot.live.error = Some(why.to_owned());
        Ok(())
    }
}

unsafe extern "C" fn log(host: *const SgHost, level: u32, line: SgStr) -> i32 {
    let level = match level {
        code::SG_LOG_ERROR => Level::Error,
        code::SG_LOG_WARN => Level::Warn,
        code::SG_LOG_INFO => Level::Info,
        code::SG_LOG_DEBUG => Level::Debug,
        code::SG_LOG_TRACE => Level::Trace,
        _ => return code::SG_E_INVALID,
    };
    // SAFETY: what goes in is readable during the call.
    let Ok(line) = (unsafe { bytes(line) }) else {
        return code::SG_E_INVALID;
    };
    let text = String::from_utf8_lossy(line).into_owned();
    // SAFETY: plugins pass the table they were given, which outlives them.
    let shared = unsafe { shared_of(host) };
    shared.lock().logs.push(LogLine { level, text });
    code::SG_OK
}
