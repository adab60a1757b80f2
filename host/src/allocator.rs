//! What the C library's allocator keeps. Unsafe: two calls into the C library.
//!
//! A large block comes straight from the system and goes back to it. What is large, glibc learns from the largest such block it
//! was ever given back, up to 32 MiB, and it keeps twice as much at the end of a heap. A plugin file is read as a whole; so
//! after the first two swaps of a file of 10 MB, files of that size lay in a heap, and 20 MB stayed with the process for
//! ever. With bounds that are set it learns nothing, and the process is as large after a swap as before.

/// From this size on a block comes from the system; what an exchange takes at once is smaller.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;
/// So much is kept at the end of a heap, for what comes next.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 2 << 20;

/// Sets the bounds. To be called once, before there is another thread.
#[cfg(target_env = "gnu")]
pub fn settle() {
    // SAFETY: the call takes two numbers and must not run beside other calls of the allocator; this is the first thing that
    // `main` does, before it starts a thread. A refusal changes nothing but what is kept.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    // SAFETY: the same.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT) };
}

/// Other C libraries give back what is large by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn settle() {}
