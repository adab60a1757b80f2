//! What happens outside of exchanges once an instance serves.

use std::ffi::c_void;

use swapgate_abi::{InstanceTok, SgErrorBuf, SgEvent, code};

use super::control::{control, failed, instance_of};
use super::entry::sized;
use crate::guest::call::{Gateway, Running};
use crate::guest::error::Error;
use crate::guest::hooks::{Begin, Plugin, Tick};
use crate::guest::task::background::{Driver, tick_every};

/// What `start` does besides [`Plugin::start`], found out by the export macro.
pub type BeginFn<T> = fn(&T, &Starting<'_>) -> Result<(), Error>;

/// The instance that starts, for those functions.
pub struct Starting<'s> {
    gateway: Gateway,
    token: InstanceTok,
    driver: &'s std::sync::OnceLock<Driver>,
}

impl std::fmt::Debug for Starting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

/// Begins the background.
pub(super) fn begin<T: Begin>(plugin: &T, starting: &Starting<'_>) -> Result<(), Error> {
    let driver = Driver::new(starting.gateway, starting.token)?;
    let driver = starting.driver.get_or_init(|| driver);
    plugin.begin(driver.handle())
}

/// Begins the ticks.
pub(super) fn ticks<T: Tick>(plugin: &T, starting: &Starting<'_>) -> Result<(), Error> {
    let period = plugin.period();
    if !period.is_zero() {
        tick_every(starting.gateway, starting.token, period)?;
    }
    Ok(())
}

/// `start` of a plugin that goes on in the background.
pub(super) unsafe fn start<T: Plugin>(
    instance: *mut c_void,
    token: InstanceTok,
    error: *mut SgErrorBuf,
    more: &[Option<BeginFn<T>>],
) -> i32 {
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    let run = || {
        instance.plugin.start().map_err(|error| failed(&error))?;
        let starting = Starting {
            // SAFETY: the table of an instance is complete (entry), and the gateway keeps it as long as the image.
            gateway: unsafe { Gateway::new(instance.host) },
            token,
            driver: &instance.background,
        };
        for begin in more.iter().flatten() {
            begin(&instance.plugin, &starting).map_err(|error| failed(&error))?;
        }
        Ok(())
    };
    // SAFETY: the table of the instance is valid until unload; `error` is the gateway's for this call.
    unsafe { control(instance.host, error, run) }
}

pub(super) unsafe extern "C" fn on_tick<T: Tick>(instance: *mut c_void) -> i32 {
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    let run = || {
        instance.plugin.tick().map_err(|error| {
            log::error!("tick failed: {error}");
            failed(&error)
        })
    };
    // SAFETY: the table of the instance is valid until unload; there is no room for an error.
    unsafe { control(instance.host, std::ptr::null_mut(), run) }
}

pub(super) unsafe extern "C" fn on_op_done<T: Begin>(
    instance: *mut c_void,
    event: *const SgEvent,
) -> i32 {
    // SAFETY: by the contract an event is null or begins with its size, and stays until this returns.
    let Some(event) = (unsafe { sized(event, |event| event.struct_size) }) else {
        return code::SG_E_INVALID;
    };
    // SAFETY: the gateway passes an instance that configure() made, before destroy().
    let instance = unsafe { instance_of::<T>(instance) };
    let Some(driver) = instance.background.get() else {
        return code::SG_OK;
    };
    // SAFETY: the table of the instance is valid until unload.
    let _running = unsafe { Running::enter(instance.host, 0) };
    // SAFETY: the event stays until this returns, with all it points to. Tasks are polled behind the barrier.
    unsafe { driver.on_event(event) }
}
