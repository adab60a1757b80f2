//! Bytes as they cross the line.

use swapgate_abi::{SgHeader, SgStr};

/// Longest text a plugin may pass in one argument. A larger length is a mistake or an attack, not a text.
const ARGUMENT_BYTES: usize = 64 * 1024 * 1024;

/// The size of a structure, as its first field says it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "sizes of a few words; `try_from` is not const"
)]
pub(super) const fn size_u32<T>() -> u32 {
    size_of::<T>() as u32
}

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

/// Reads a structure that a plugin passed in; none if there is none. The structure must say itself, in its first four
/// bytes, that it is as large as ours: until 1.0 minors are equal, so a shorter one is a mistake and not an older plugin.
///
/// # Safety
/// `pointer` must be null or point to as many readable bytes as its first four say, that nobody changes meanwhile.
pub(super) unsafe fn sized<T: Copy>(pointer: *const T) -> Option<T> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned, checked above; at least four bytes: the caller's promise; for this read.
    let size = unsafe { pointer.cast::<u32>().read() };
    if (size as usize) < size_of::<T>() {
        return None;
    }
    // SAFETY: it says that it is large enough, which is the caller's promise; for this read.
    Some(unsafe { pointer.read() })
}

/// Reads a structure without a size; none if there is none.
///
/// # Safety
/// `pointer` must be null or point to a readable `T` that nobody changes meanwhile.
pub(super) unsafe fn plain<T: Copy>(pointer: *const T) -> Option<T> {
    if pointer.is_null() || !pointer.is_aligned() {
        return None;
    }
    // SAFETY: not null and aligned, checked above; the rest is the caller's promise; for this read.
    Some(unsafe { pointer.read() })
}

/// Whether a result can be written, or is not wanted.
pub(super) fn optional<T>(out: *mut T) -> bool {
    out.is_null() || out.is_aligned()
}

/// Copies bytes to where a plugin has room for them, as many as fit.
///
/// # Safety
/// `to` must have room for `cap` bytes that only the running call uses, or `cap` must be 0.
pub(super) unsafe fn copy(bytes: &[u8], to: *mut u8, cap: usize) {
    let len = bytes.len().min(cap);
    if len == 0 {
        return;
    }
    // SAFETY: readable for `len`, for it is a slice; writable for `len`, which is at most `cap`: the caller's promise. The
    // two do not overlap: one is memory of the gateway, the other of the plugin. For this copy.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
}
