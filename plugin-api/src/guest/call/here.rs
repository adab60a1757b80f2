//! Which gateway and which exchange this thread works for.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use swapgate_abi::{ExchangeTok, SgHost, SgStr, code};

/// The table of this image, for threads on which no hook runs. Null before entry and after unload.
static HOST: AtomicPtr<SgHost> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    // No destructor, so that this does not keep the image mapped.
    static CURRENT: Cell<(*const SgHost, ExchangeTok)> = const { Cell::new((ptr::null(), 0)) };
}

/// Makes the table known to threads of the plugin, or takes it back with null.
pub(in crate::guest) fn publish(host: *const SgHost) {
    HOST.store(host.cast_mut(), Ordering::Release);
}

/// The table of the gateway this thread works for, or else of this image, or null.
pub(in crate::guest) fn here() -> *const SgHost {
    let (host, _) = CURRENT.get();
    if host.is_null() {
        HOST.load(Ordering::Acquire).cast_const()
    } else {
        host
    }
}

/// The exchange whose hook runs on this thread; 0: none.
pub(in crate::guest) fn running_exchange() -> ExchangeTok {
    CURRENT.get().1
}

/// Notes for as long as it lives that this thread runs a call of that gateway.
pub(crate) struct Running {
    before: (*const SgHost, ExchangeTok),
}

impl Running {
    /// `token` is 0 outside of exchanges.
    ///
    /// # Safety
    ///
    /// `host` must be null or a complete table that outlives the guard.
    pub(crate) unsafe fn enter(host: *const SgHost, token: ExchangeTok) -> Self {
        let before = CURRENT.replace((host, token));
        Self { before }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Writes one line to the log of the gateway that this thread works for, if there is one.
pub(in crate::guest) fn write_log(level: u32, text: &str) -> bool {
    let host = here();
    if host.is_null() {
        return false;
    }
    // SAFETY: Running::enter() or entry were promised a complete table; it is valid until unload() has returned, and
    // unload() publishes null first.
    let log = unsafe { (*host).log };
    // SAFETY: as above; the text is read during the call only.
    unsafe { log(host, level, SgStr::new(text.as_bytes())) };
    true
}

/// Tells the gateway of a panic, and the running exchange why it fails. False: there is no gateway to tell.
pub(in crate::guest) fn report_panic(text: &str) -> bool {
    let (host, token) = CURRENT.get();
    if !host.is_null() && token != 0 {
        // SAFETY: Running::enter() was promised a complete table that outlives the guard, which is still there.
        let set_error = unsafe { (*host).set_error };
        // SAFETY: as above; the text is read during the call only.
        unsafe { set_error(host, token, SgStr::new(text.as_bytes())) };
    }
    write_log(code::SG_LOG_ERROR, text)
}
