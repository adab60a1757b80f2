//! A counter round the system's allocator, so that the gateway can say how much memory a plugin uses.
//!
//! ```
//! #[global_allocator]
//! static MEMORY: swapgate_plugin::alloc::Counting = swapgate_plugin::alloc::Counting;
//!
//! let before = swapgate_plugin::alloc::usage();
//! let kept = vec![0_u8; 10_000];
//! let after = swapgate_plugin::alloc::usage();
//! assert!(after.bytes >= before.bytes + 10_000);
//! # drop(kept);
//! ```
//!
//! That line is all it takes: a plugin that has it tells the gateway, one that has it not pays nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use swapgate_abi::{SgMemory, code};

use super::entry::sized;

/// The counting allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

/// How much memory this image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Allocated and not freed.
    pub bytes: u64,
    /// The most that ever was.
    pub peak_bytes: u64,
    /// How many allocations there were, ever.
    pub allocations: u64,
}

static BYTES: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// What was counted so far; all zero where [`Counting`] is not the allocator.
#[must_use]
pub fn usage() -> Usage {
    Usage {
        bytes: BYTES.load(Ordering::Relaxed),
        peak_bytes: PEAK.load(Ordering::Relaxed),
        allocations: ALLOCATIONS.load(Ordering::Relaxed),
    }
}

/// Whether anything is counted. By the time the table of hooks is made, something was allocated.
pub(super) fn counts() -> bool {
    ALLOCATIONS.load(Ordering::Relaxed) > 0
}

fn add(bytes: usize) {
    let bytes = bytes as u64;
    let now = BYTES
        .fetch_add(bytes, Ordering::Relaxed)
        .wrapping_add(bytes);
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    if now > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
}

fn take(bytes: usize) {
    BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
}

// SAFETY: everything is done by the system's allocator, which keeps the contract; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of this function, which is the same.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            add(layout.size());
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in alloc().
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            add(layout.size());
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in alloc(); it came from there.
        unsafe { System.dealloc(memory, layout) };
        take(layout.size());
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in alloc(); it came from there.
        let moved = unsafe { System.realloc(memory, layout, size) };
        if !moved.is_null() {
            add(size);
            take(layout.size());
        }
        moved
    }
}

pub(super) unsafe extern "C" fn memory(out: *mut SgMemory) -> i32 {
    // SAFETY: by the contract `out` is null or begins with its size, for this call.
    let fits = unsafe { sized(out.cast_const(), |out| out.struct_size) }.is_some();
    if !fits {
        return code::SG_E_INVALID;
    }
    let usage = usage();
    // SAFETY: just checked to be there and whole; the gateway lets us write to it during this call.
    let out = unsafe { &mut *out };
    out.bytes = usage.bytes;
    out.peak_bytes = usage.peak_bytes;
    out.allocations = usage.allocations;
    code::SG_OK
}
