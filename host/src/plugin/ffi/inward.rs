//! How a call of a plugin comes in: on which exchange or by whom, what it brings, what it is answered.

use swapgate_abi as abi;
use swapgate_abi::{ExchangeTok, SgHost, SgStr};

use super::host::Caller;
use super::{request, view};
use crate::context::{Denied, Frame};
use crate::panics::{Part, caught, fault};

/// Runs one host function on the running frame.
pub(super) fn with(
    exchange: ExchangeTok,
    work: impl FnOnce(&mut Frame<'_>) -> Result<(), Denied>,
) -> i32 {
    let Some(frame) = request::running() else {
        return abi::SG_E_WRONG_THREAD;
    };
    if frame.context.token != exchange {
        return abi::SG_E_STALE;
    }
    barrier(|| match work(frame) {
        Ok(()) => abi::SG_OK,
        Err(denied) => denied.code(),
    })
}

/// Keeps a panic of ours from unwinding into foreign frames, which would end the process.
pub(super) fn barrier(work: impl FnOnce() -> i32) -> i32 {
    let work = || {
        fault::point("host_function");
        work()
    };
    caught(Part::HostFunction, work).unwrap_or_else(|panicked| {
        panicked.say();
        abi::SG_E_FAILED
    })
}

/// An argument.
pub(super) fn input<'a>(text: SgStr) -> Result<&'a [u8], Denied> {
    // SAFETY: readable and unchanged until the host function returns is the contract's rule for texts that go in; every
    // slice made here is used within that function.
    unsafe { view::bytes(text) }.ok_or(Denied::Invalid)
}

/// A result.
pub(super) fn output<T>(out: *mut T, value: T) -> Result<(), Denied> {
    // SAFETY: null or room for a `T` is the contract's rule for results; used once, now.
    if unsafe { view::put(out, value) } {
        Ok(())
    } else {
        Err(Denied::Invalid)
    }
}

/// Runs one host function for whoever calls, on any thread. In a preflight it is answered for it.
pub(super) fn for_caller(
    host: *const SgHost,
    work: impl FnOnce(&Caller) -> Result<(), Denied>,
) -> i32 {
    barrier(|| {
        // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
        let done = match unsafe { caller(host) } {
            None => Err(Denied::Invalid),
            Some(caller) if caller.preflight => Err(Denied::Unavailable),
            Some(caller) => work(caller),
        };
        done.map_or_else(Denied::code, |()| abi::SG_OK)
    })
}

/// What stands behind a host table that a plugin passed; none if it passed null.
///
/// # Safety
/// `host` must be null or a table that [`host_table`](super::host::host_table) made and that lives for `'a`.
pub(super) unsafe fn caller<'a>(host: *const SgHost) -> Option<&'a Caller> {
    // SAFETY: null or a table that lives: the caller's promise.
    let host = unsafe { host.as_ref() }?;
    let caller: *const Caller = host.private_.cast();
    // SAFETY: `host_table` put the caller there, as `Arc::as_ptr` gave it, and the table keeps that `Arc`; nobody ever has
    // it exclusively. For as long as the table lives.
    unsafe { caller.as_ref() }
}
