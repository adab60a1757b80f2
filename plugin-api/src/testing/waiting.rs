//! The functions of the table that are about waiting.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi::{ExchangeTok, InstanceTok, OpTok, ScopeTok, SgHost, SgStr, WakeTok, code};

pub(super) unsafe extern "C" fn extension(_: *const SgHost, _: SgStr) -> *const c_void {
    ptr::null()
}

pub(super) unsafe extern "C" fn sleep(_: *const SgHost, _: ScopeTok, _: u64, _: *mut OpTok) -> i32 {
    code::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn op_cancel(_: *const SgHost, _: ScopeTok, _: OpTok) -> i32 {
    code::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn waker(_: *const SgHost, _: ScopeTok, _: *mut WakeTok) -> i32 {
    code::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn wake(_: *const SgHost, _: WakeTok) -> i32 {
    code::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn tick_every(_: *const SgHost, _: InstanceTok, _: u64) -> i32 {
    code::SG_E_UNAVAILABLE
}

pub(super) unsafe extern "C" fn upstream_set(
    _: *const SgHost,
    _: ExchangeTok,
    _: u32,
    _: SgStr,
) -> i32 {
    code::SG_E_UNAVAILABLE
}
