//! Bytes as they cross the line.

use swapgate_abi::{SgHeader, SgStr};

/// Longest text a plugin may pass in one argument. A larger length is a mistake or an attack, not a text.
const ARGUMENT_BYTES: usize = 64 * 1024 * 1024;

/// A text a plugin passed in; none if it is malformed.
///
/// # Safety
/// `ptr` must point to `len` readable bytes that nobody changes until the returned slice is no longer used, which
/// must be before the call it came in with returns.
pub(super) unsafe fn bytes<'a>(text: SgStr) -> Option<&'a [u8]> {
    if text.len == 0 {
        return Some(&[]);
    }
    if text.ptr.is_null() || text.len > ARGUMENT_BYTES {
        return None;
    }
    // SAFETY: not null and of a possible length, checked above; readable and unchanged: the caller's promise, which is
    // the contract's rule for every `sg_str` that goes in; until the call returns, which bounds every use here.
    Some(unsafe { std::slice::from_raw_parts(text.ptr, text.len) })
}

/// The header lines a plugin passed in; none if malformed.
///
/// # Safety
/// As for [`bytes`], for the array and for every text in it.
pub(super) unsafe fn lines<'a>(array: *const SgHeader, count: usize) -> Option<&'a [SgHeader]> {
    if count > crate::context::headers::LINES {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { self::array(array, count) }
}

/// An array that a plugin passed in, whose length was found possible; none if it is malformed.
///
/// # Safety
/// As for [`bytes`], for the array and for every text in it.
pub(super) unsafe fn array<'a, T>(array: *const T, count: usize) -> Option<&'a [T]> {
    if count == 0 {
        return Some(&[]);
    }
    if array.is_null() || !array.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned, checked above; of a possible length, which the caller checked; readable until the
    // call returns: the contract's rule for arguments.
    Some(unsafe { std::slice::from_raw_parts(array, count) })
}

/// Writes a result; false if the plugin gave no room for it.
///
/// # Safety
/// `out` must be null or point to room for a `T` that only the running call uses.
pub(super) unsafe fn put<T>(out: *mut T, value: T) -> bool {
    if out.is_null() || !out.is_aligned() {
        return false;
    }
    // SAFETY: not null and aligned, checked above; room for a `T` that nobody else uses: the contract's rule for
    // results; for the length of this write.
    unsafe { out.write(value) };
    true
}
