//! The functions of the table that are about bodies.

use std::ffi::c_void;

use swapgate_abi::{ExchangeTok, ReleaseFn, SgHost, SgStr, code};

pub(super) unsafe extern "C" fn body_len(_: *const SgHost, _: ExchangeTok, _: *mut u64) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_pieces(
    _: *const SgHost,
    _: ExchangeTok,
    _: *mut SgStr,
    _: usize,
    _: *mut usize,
) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_drain(_: *const SgHost, _: ExchangeTok, _: u64) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_replace(_: *const SgHost, _: ExchangeTok, _: SgStr) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_append(_: *const SgHost, _: ExchangeTok, _: SgStr) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_append_own(
    _: *const SgHost,
    _: ExchangeTok,
    _: SgStr,
    _: Option<ReleaseFn>,
    _: *mut c_void,
) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_hold(_: *const SgHost, _: ExchangeTok, _: u64) -> i32 {
    code::SG_E_WRONG_PHASE
}

pub(super) unsafe extern "C" fn body_ignore(_: *const SgHost, _: ExchangeTok, _: u32) -> i32 {
    code::SG_E_WRONG_PHASE
}
