//! The larger areas of the contract, by their ids. Each is one table for the whole process: who calls stands in the host
//! table that every function of theirs is given.

use std::ffi::c_void;
use std::ptr;

use swapgate_abi as abi;
use swapgate_abi::{SgBlocking, SgHost, SgHttpCallout, SgKv, SgResolve, SgStr};

use super::inward::{caller, input};
use super::view::size_u32;
use super::{blocking, callout, kv, resolve};

static KV: SgKv = SgKv {
    struct_size: size_u32::<SgKv>(),
    reserved: 0,
    get: kv::get,
    set: kv::set,
    add: kv::add,
    compare_and_set: kv::compare_and_set,
    remove: kv::remove,
};

static CALLOUT: SgHttpCallout = SgHttpCallout {
    struct_size: size_u32::<SgHttpCallout>(),
    reserved: 0,
    start: callout::start,
};

static RESOLVE: SgResolve = SgResolve {
    struct_size: size_u32::<SgResolve>(),
    reserved: 0,
    start: resolve::start,
};

static BLOCKING: SgBlocking = SgBlocking {
    struct_size: size_u32::<SgBlocking>(),
    reserved: 0,
    start: blocking::start,
};

pub(super) unsafe extern "C" fn extension(host: *const SgHost, id: SgStr) -> *const c_void {
    // SAFETY: a plugin passes the pointer it was given at its entry, valid until its `unload` returns.
    let known = unsafe { caller(host) }.is_some();
    match input(id) {
        Ok(id) if known => area(id),
        _ => ptr::null(),
    }
}

/// The table of an area; null for an id or a revision this gateway does not have.
fn area(id: &[u8]) -> *const c_void {
    match std::str::from_utf8(id) {
        Ok(abi::SG_KV_ID) => (&raw const KV).cast(),
        Ok(abi::SG_HTTP_CALLOUT_ID) => (&raw const CALLOUT).cast(),
        Ok(abi::SG_RESOLVE_ID) => (&raw const RESOLVE).cast(),
        Ok(abi::SG_BLOCKING_ID) => (&raw const BLOCKING).cast(),
        _ => ptr::null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null() {
        for id in [
            "sg.kv/1",
            "sg.http_callout/1",
            "sg.resolve/1",
            "sg.blocking/1",
        ] {
            assert!(!area(id.as_bytes()).is_null(), "{id}");
        }
        for id in ["", "sg.kv", "sg.kv/2", "sg.kv/1 ", "sg.trace/1", "\u{0}"] {
            assert!(area(id.as_bytes()).is_null(), "{id}");
        }
        assert!(area(&[0xff]).is_null());
    }
}
