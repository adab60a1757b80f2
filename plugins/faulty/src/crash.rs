//! The ways to go wrong that no safe function offers.

use std::thread;
use std::time::Duration;

use crate::{Fault, patch};

/// A panic payload that panics when it is dropped.
pub(crate) struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("the payload panics as well");
    }
}

/// Never returns.
pub(crate) fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Writes where nothing is mapped.
pub(crate) fn segv() -> ! {
    // SAFETY: there is none; the test wants the signal. The first page is never mapped, so nothing else is harmed.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(0) };
    std::process::abort()
}

/// Runs while the library is being opened, before its entry.
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[used]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        match patch::fault("constructor") {
            Some(Fault::Hang) => hang(),
            Some(Fault::Segv) => segv(),
            Some(Fault::Abort) => std::process::abort(),
            _ => {}
        }
    }
    constructor
};
