//! The part of the host table that is about waiting: operations, wake tokens, ticks, and the choice of the upstream.

use swapgate_abi as abi;
use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ScopeTok, SgHost, SgStr, WakeTok};

use super::host::{Caller, for_caller, output};
use crate::context::Denied;
use crate::ops::{Begin, background};

/// Begins an operation and writes its token to `out`.
pub(super) fn begin(
    host: *const SgHost,
    scope: ScopeTok,
    out: *mut OpTok,
    make: impl FnOnce(&Caller) -> Result<Begin, Denied>,
) -> i32 {
    for_caller(host, |caller| {
        output(out, 0)?;
        output(out, background::begin(scope, || make(caller))?)
    })
}

pub(super) unsafe extern "C" fn sleep(_: *const SgHost, _: ScopeTok, _: u64, _: *mut OpTok) -> i32 {
    abi::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn op_cancel(_: *const SgHost, _: ScopeTok, _: OpTok) -> i32 {
    abi::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn waker(_: *const SgHost, _: ScopeTok, _: *mut WakeTok) -> i32 {
    abi::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn wake(_: *const SgHost, _: WakeTok) -> i32 {
    abi::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn tick_every(_: *const SgHost, _: InstanceTok, _: u64) -> i32 {
    abi::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn upstream_set(
    _: *const SgHost,
    _: ExchangeTok,
    _: u32,
    _: SgStr,
) -> i32 {
    abi::SG_E_UNAVAILABLE
}
