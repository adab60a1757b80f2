//! Panics on purpose, so that tests see what one costs. In a release build there is nothing of this: every function here is
//! empty then.
//!
//! In a debug build the environment variable `SWAPGATE_FAULT_POINTS` names a folder. A place in the code that calls
//! [`point`] panics when a file of its name lies there, and takes the file away before; one that calls [`refuses`] gets an error. An exchange asks [`wanted`] instead:
//! the request says in `x-fault-point` where it is to panic, once the variable is set at all.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use http::HeaderMap;

/// Where a request says it.
const HEADER: &str = "x-fault-point";
const VARIABLE: &str = "SWAPGATE_FAULT_POINTS";

/// Panics if a file of this name is there.
#[inline]
pub fn point(name: &str) {
    if cfg!(debug_assertions)
        && let Some(folder) = folder()
        && std::fs::remove_file(folder.join(name)).is_ok()
    {
        fails(name);
    }
}

/// Fails as the system does where it has no more to give, if a file of this name is there.
///
/// # Errors
/// There is one.
#[inline]
pub fn refuses(name: &str) -> io::Result<()> {
    if cfg!(debug_assertions)
        && let Some(folder) = folder()
        && std::fs::remove_file(folder.join(name)).is_ok()
    {
        let text = format!("fault point {name}");
        return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
    }
    Ok(())
}

/// Panics if the request asks for it.
#[inline]
pub fn wanted(name: &str, headers: &HeaderMap) {
    if cfg!(debug_assertions)
        && folder().is_some()
        && headers.get(HEADER).is_some_and(|asked| asked == name)
    {
        fails(name);
    }
}

#[expect(clippy::panic, reason = "that is what it is for, in debug builds only")]
fn fails(name: &str) {
    panic!("fault point {name}");
}

fn folder() -> Option<&'static PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from))
        .as_ref()
}
