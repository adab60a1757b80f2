//! The calls by which an instance hands its state over to another one.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi::{SgErrorBuf, SgStateOut, SgStr, code};

use super::control::{Instance, control, failed, instance_of};
use super::entry::sized;
use crate::guest::state::{ImportError, State};
use crate::view;

pub(super) unsafe extern "C" fn export_state<T: State>(
    instance: *mut c_void,
    out: *mut SgStateOut,
) -> i32 {
    // SAFETY: by the contract `out` is null or begins with its size, for this call.
    if unsafe { sized(out.cast_const(), |out| out.struct_size) }.is_none() {
        return code::SG_E_INVALID;
    }
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    let run = || {
        let state = instance.plugin.export_state();
        let state = state.map_err(|error| {
            log::error!("export_state failed: {error}");
            failed(&error)
        })?;
        let Some(state) = state else {
            return Err((code::SG_E_NOT_FOUND, String::new()));
        };
        // SAFETY: the gateway passes where to write to, for this call and nobody else's.
        let target = unsafe { &mut *out };
        target.version = T::FORMAT;
        let write = target.write;
        // SAFETY: the function came with `out`, and the bytes are readable during the call.
        let written = unsafe { write(out, SgStr::new(&state)) };
        if written == code::SG_OK {
            Ok(())
        } else {
            Err((written, String::new()))
        }
    };
    // SAFETY: the table of the instance is valid until unload; there is no room for an error.
    unsafe { control(instance.host, ptr::null_mut(), run) }
}

pub(super) unsafe extern "C" fn import_state<T: State>(
    instance: *mut c_void,
    version: u32,
    state: SgStr,
    error: *mut SgErrorBuf,
) -> i32 {
    // SAFETY: the gateway passes an instance that configure() made and that was not started: nobody else borrows it.
    let instance = unsafe { &mut *instance.cast::<Instance<T>>() };
    let plugin = &mut instance.plugin;
    let run = || {
        // SAFETY: `state` is readable during this call, and nothing of it is kept.
        let state = unsafe { view::bytes(state) };
        plugin
            .import_state(version, state)
            .map_err(|error| match error {
                ImportError::Format => {
                    let text = format!("format {version} is not one that this version reads");
                    (code::SG_E_VERSION, text)
                }
                ImportError::Failed(error) => failed(&error),
            })
    };
    // SAFETY: the table of the instance is valid until unload; `error` is the gateway's for this call.
    unsafe { control(instance.host, error, run) }
}
