//! The calls outside of exchanges, and the instance they make.

use std::ffi::c_void;
use std::sync::OnceLock;

use swapgate_abi::{SgErrorBuf, SgHost, SgStr, code};

use crate::guest::call::{self, Running};
use crate::guest::error::{ConfigError, Error};
use crate::guest::forward;
use crate::guest::hooks::Plugin;
use crate::guest::task::background::Driver;
use crate::view;

/// An instance and the table it talks to.
pub(super) struct Instance<T> {
    pub(super) plugin: T,
    pub(super) host: *const SgHost,
    /// Set by start, where it goes on in the background.
    pub(super) background: OnceLock<Driver>,
}

pub(super) fn write_error(error: Option<&mut SgErrorBuf>, text: &str) {
    let Some(error) = error else { return };
    let mut len = text.len().min(error.cap);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    if error.ptr.is_null() {
        len = 0;
    }
    // SAFETY: the gateway gives room for `cap` bytes, and `len` is no more than that, or 0.
    unsafe { std::ptr::copy(text.as_ptr(), error.ptr, len) };
    error.len = len;
}

/// Runs a call outside of exchanges and writes down why it failed.
///
/// # Safety
///
/// `host` is null or a complete table for the time of the call; `error` is null or writable.
pub(super) unsafe fn control(
    host: *const SgHost,
    error: *mut SgErrorBuf,
    run: impl FnOnce() -> Result<(), (i32, String)>,
) -> i32 {
    // SAFETY: the caller vouches for `host`.
    let _running = unsafe { Running::enter(host, 0) };
    let outcome = forward::barrier(run).unwrap_or_else(|text| Err((code::SG_E_PANIC, text)));
    match outcome {
        Ok(()) => code::SG_OK,
        Err((code, text)) => {
            // SAFETY: the caller vouches for `error`.
            write_error(unsafe { error.as_mut() }, &text);
            code
        }
    }
}

pub(super) fn failed(error: &Error) -> (i32, String) {
    (error.code(), error.to_string())
}

pub(super) unsafe extern "C" fn load<T: Plugin>(
    host: *const SgHost,
    error: *mut SgErrorBuf,
) -> i32 {
    // SAFETY: the gateway passes its table and room for an error, both for this call.
    unsafe { control(host, error, || T::load().map_err(|error| failed(&error))) }
}

pub(super) unsafe extern "C" fn unload<T: Plugin>(_deadline_ms: u64) -> i32 {
    let host = call::here();
    let run = || {
        T::unload().map_err(|error| {
            log::error!("unload failed: {error}");
            failed(&error)
        })
    };
    // SAFETY: the table given at entry is valid until this call returns; there is no room for an error.
    let code = unsafe { control(host, std::ptr::null_mut(), run) };
    call::publish(std::ptr::null());
    code
}

pub(super) unsafe extern "C" fn configure<T: Plugin>(
    host: *const SgHost,
    config: SgStr,
    instance: *mut *mut c_void,
    error: *mut SgErrorBuf,
) -> i32 {
    let run = || {
        // SAFETY: `config` is readable during this call, and nothing of it is kept.
        let json = unsafe { view::bytes(config) };
        let refused = |error: ConfigError| (code::SG_E_INVALID, error.to_string());
        let config = ConfigError::parse::<T::Config>(json).map_err(refused)?;
        let plugin = T::configure(config).map_err(refused)?;
        let made = Box::into_raw(Box::new(Instance {
            plugin,
            host,
            background: OnceLock::new(),
        }));
        // SAFETY: the gateway gives room for one pointer.
        unsafe { instance.write(made.cast()) };
        Ok(())
    };
    // SAFETY: the gateway passes its table and room for an error, both for this call.
    unsafe { control(host, error, run) }
}

/// The instance behind the pointer that [`configure`] handed out.
///
/// # Safety
///
/// `instance` comes from [`configure`] of the same `T` and was not destroyed for `'a`.
pub(super) unsafe fn instance_of<'a, T>(instance: *mut c_void) -> &'a Instance<T> {
    // SAFETY: the caller vouches for it; only import_state() borrows an instance mutably, before any hook of it may run.
    unsafe { &*instance.cast::<Instance<T>>() }
}

pub(super) unsafe extern "C" fn destroy<T: Plugin>(instance: *mut c_void) {
    // SAFETY: the gateway passes an instance that configure() made, exactly once and after its last use.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<T>>()) };
    let host = instance.host;
    let run = || {
        // Tasks first: they may use what the instance keeps.
        if let Some(background) = instance.background.get() {
            background.end();
        }
        drop(instance);
        Ok(())
    };
    // SAFETY: the table of the instance is valid until unload; there is no room for an error.
    unsafe { control(host, std::ptr::null_mut(), run) };
}
