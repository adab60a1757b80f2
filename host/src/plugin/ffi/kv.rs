//! `sg.kv/1`: values for all workers and across swaps. Callable on any thread; nothing here waits.

use smallvec::SmallVec;
use swapgate_abi::{SgBuf, SgHost, SgStr};

use super::inward::{for_caller, input, output};
use super::view;
use crate::context::Denied;
use crate::ops::kv::KvError;

pub(super) unsafe extern "C" fn get(
    host: *const SgHost,
    key: SgStr,
    out: *mut SgBuf,
    revision: *mut u64,
) -> i32 {
    for_caller(host, |caller| {
        // A copy, because the room for the value may be where the key stands.
        let key: SmallVec<[u8; 64]> = input(key)?.into();
        // SAFETY: null or a structure of the plugin is the contract's rule for results.
        let buf = unsafe { view::plain(out.cast_const()) }.ok_or(Denied::Invalid)?;
        if (buf.ptr.is_null() && buf.cap > 0) || !view::optional(revision) {
            return Err(Denied::Invalid);
        }
        let (len, found) = caller.kv.get(&key, |bytes, found| {
            // SAFETY: room for `cap` bytes that only this call uses is the contract's rule for an `sg_buf`.
            unsafe { view::copy(bytes, buf.ptr, buf.cap) };
            (bytes.len(), found)
        })?;
        if !revision.is_null() {
            output(revision, found)?;
        }
        output(out, SgBuf { len, ..buf })
    })
}

pub(super) unsafe extern "C" fn set(
    host: *const SgHost,
    key: SgStr,
    value: SgStr,
    ttl_ms: u64,
) -> i32 {
    for_caller(host, |caller| {
        Ok(caller.kv.set(input(key)?, input(value)?, ttl_ms)?)
    })
}

pub(super) unsafe extern "C" fn add(
    host: *const SgHost,
    key: SgStr,
    delta: i64,
    ttl_ms: u64,
    out: *mut i64,
) -> i32 {
    for_caller(host, |caller| {
        let key = input(key)?;
        if !view::optional(out) {
            return Err(Denied::Invalid);
        }
        let sum = caller.kv.add(key, delta, ttl_ms)?;
        if out.is_null() {
            return Ok(());
        }
        output(out, sum)
    })
}

pub(super) unsafe extern "C" fn compare_and_set(
    host: *const SgHost,
    key: SgStr,
    revision: u64,
    value: SgStr,
    ttl_ms: u64,
) -> i32 {
    for_caller(host, |caller| {
        let (key, value) = (input(key)?, input(value)?);
        Ok(caller.kv.compare_and_set(key, revision, value, ttl_ms)?)
    })
}

pub(super) unsafe extern "C" fn remove(host: *const SgHost, key: SgStr) -> i32 {
    for_caller(host, |caller| Ok(caller.kv.remove(input(key)?)?))
}

impl From<KvError> for Denied {
    fn from(error: KvError) -> Self {
        match error {
            KvError::NotFound => Self::NotFound,
            KvError::NotANumber => Self::Invalid,
            KvError::TooLarge => Self::TooLarge,
            KvError::Conflict => Self::Conflict,
        }
    }
}
