//! The end of a process into which plugins were loaded. Unsafe: one call that never returns.
//!
//! The usual way out runs what libraries registered for it, destructors of plugins that are still mapped among them,
//! while a call that never returned may still run in the same library on another thread. So the process just ends.

/// Ends the process. What is to be written must have been written before.
pub fn now(code: u8) -> ! {
    // SAFETY: the call takes a number and never returns. It leaves every thread wherever it is, which nobody can notice
    // any more.
    unsafe { libc::_exit(i32::from(code)) }
}
