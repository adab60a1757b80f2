//! What hooks wait for, states that are handed over, and the larger areas of the gateway; as in `swapgate.h`.
#![allow(missing_docs)] // each field is documented in the header, which is the reference

use core::ffi::c_void;

use crate::table::{OpTok, ReleaseFn, ScopeTok, SgHeader, SgHost, SgStr};

/// Room for bytes, given by the plugin.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgBuf {
    pub ptr: *mut u8,
    pub cap: usize,
    pub len: usize,
}

/// What happened.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgEvent {
    pub struct_size: u32,
    pub kind: u32,
    pub lane: u32,
    pub phase: u32,
    pub op: OpTok,
    pub result: i32,
    pub flags: u32,
    pub data: *const c_void,
}

/// Appends bytes to a state.
pub type StateWriteFn = unsafe extern "C" fn(out: *mut SgStateOut, bytes: SgStr) -> i32;

/// Where a state is written to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgStateOut {
    pub struct_size: u32,
    pub version: u32,
    pub private_: *mut c_void,
    pub write: StateWriteFn,
}

/// How much memory an image uses.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgMemory {
    pub struct_size: u32,
    pub reserved: u32,
    pub bytes: u64,
    pub peak_bytes: u64,
    pub allocations: u64,
}

/// A request of a callout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgHttpRequest {
    pub struct_size: u32,
    pub timeout_ms: u32,
    pub service: SgStr,
    pub url: SgStr,
    pub method: SgStr,
    pub headers: *const SgHeader,
    pub header_count: usize,
    pub body: SgStr,
    pub max_body: u64,
}

/// The answer to a callout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgHttpAnswer {
    pub struct_size: u32,
    pub status: u32,
    pub headers: *const SgHeader,
    pub header_count: usize,
    pub body: SgStr,
}

/// Calls other HTTP services.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgHttpCallout {
    pub struct_size: u32,
    pub reserved: u32,
    pub start: unsafe extern "C" fn(
        host: *const SgHost,
        scope: ScopeTok,
        request: *const SgHttpRequest,
        out: *mut OpTok,
    ) -> i32,
}

/// The addresses of a name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgResolved {
    pub struct_size: u32,
    pub reserved: u32,
    pub addresses: *const SgStr,
    pub count: usize,
}

/// Looks names up.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgResolve {
    pub struct_size: u32,
    pub reserved: u32,
    pub start: unsafe extern "C" fn(
        host: *const SgHost,
        scope: ScopeTok,
        name: SgStr,
        out: *mut OpTok,
    ) -> i32,
}

/// A function that takes long.
pub type WorkFn = unsafe extern "C" fn(context: *mut c_void) -> i32;

/// Runs what takes long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgBlocking {
    pub struct_size: u32,
    pub reserved: u32,
    pub start: unsafe extern "C" fn(
        host: *const SgHost,
        scope: ScopeTok,
        work: Option<WorkFn>,
        release: Option<ReleaseFn>,
        context: *mut c_void,
        out: *mut OpTok,
    ) -> i32,
}

/// Keeps values across swaps.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgKv {
    pub struct_size: u32,
    pub reserved: u32,
    pub get: unsafe extern "C" fn(
        host: *const SgHost,
        key: SgStr,
        out: *mut SgBuf,
        revision: *mut u64,
    ) -> i32,
    pub set:
        unsafe extern "C" fn(host: *const SgHost, key: SgStr, value: SgStr, ttl_ms: u64) -> i32,
    pub add: unsafe extern "C" fn(
        host: *const SgHost,
        key: SgStr,
        delta: i64,
        ttl_ms: u64,
        out: *mut i64,
    ) -> i32,
    pub compare_and_set: unsafe extern "C" fn(
        host: *const SgHost,
        key: SgStr,
        revision: u64,
        value: SgStr,
        ttl_ms: u64,
    ) -> i32,
    pub remove: unsafe extern "C" fn(host: *const SgHost, key: SgStr) -> i32,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<SgEvent>() == 40);
    assert!(size_of::<SgStateOut>() == 24);
    assert!(size_of::<SgMemory>() == 32);
    assert!(size_of::<SgHttpRequest>() == 96);
    assert!(size_of::<SgHttpAnswer>() == 40);
    assert!(size_of::<SgKv>() == 48);
};
