//! What a service manager leaves to a process that it starts: variables, and listening sockets from descriptor 3 on. See
//! `sd_listen_fds(3)` and `sd_notify(3)`.
//!
//! It is taken once, first of all: what stays in the environment, every plugin and every process that a plugin starts could
//! use, and what stays an open descriptor they would keep open.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// More than any service manager passes.
const MOST: RawFd = 4096;

/// The address of the service manager's socket.
pub const SOCKET: &str = "NOTIFY_SOCKET";
/// In which time it wants to hear of the process.
pub const WATCHDOG: &str = "WATCHDOG_USEC";
/// A process before this one was ready, so that the service is up; said by the one that this one takes over from.
pub const UP: &str = "SWAPGATE_SERVICE_UP";

const WATCHDOG_PID: &str = "WATCHDOG_PID";
const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDS: &str = "LISTEN_FDS";
const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
const ALL: [&str; 7] = [
    SOCKET,
    WATCHDOG,
    UP,
    WATCHDOG_PID,
    LISTEN_PID,
    LISTEN_FDS,
    LISTEN_FDNAMES,
];

/// What was left.
#[derive(Debug, Default)]
pub struct Handed {
    /// The address of the socket on which it listens.
    pub socket: Option<OsString>,
    /// In which time it wants to hear of the process.
    pub watchdog: Option<Duration>,
    /// Sockets with their names.
    pub sockets: Vec<(String, OwnedFd)>,
    /// The service is up, whatever this process can serve.
    pub up: bool,
}

/// Takes it, so that nobody after this finds it. Nothing is taken where other threads run already, which read the environment
/// whenever they like.
///
/// # Errors
/// A descriptor that is said to be passed cannot be used.
pub fn take() -> io::Result<Handed> {
    if threads() != Some(1) {
        return Ok(Handed::default());
    }
    let text = |name| std::env::var(name).ok();
    let number = |name| text(name).and_then(|text| text.parse::<u64>().ok());
    let is_own = |name| number(name) == Some(u64::from(std::process::id()));
    let watchdog = number(WATCHDOG)
        // A process that takes over from another is told by that one, under another number.
        .filter(|usec| *usec > 0 && (text(WATCHDOG_PID).is_none() || is_own(WATCHDOG_PID)))
        .map(Duration::from_micros);
    let count = number(LISTEN_FDS).filter(|_| is_own(LISTEN_PID));
    let names = text(LISTEN_FDNAMES).unwrap_or_default();
    let socket = std::env::var_os(SOCKET).filter(|address| !address.is_empty());
    let up = std::env::var_os(UP).is_some();
    ALL.into_iter().for_each(remove);
    let count = RawFd::try_from(count.unwrap_or(0)).unwrap_or(MOST);
    let mut names = names.split(':').map(str::to_owned);
    let sockets = (FIRST..FIRST + count.min(MOST))
        .map(|number| Ok((names.next().unwrap_or_default(), adopt(number)?)));
    Ok(Handed {
        socket,
        watchdog,
        sockets: sockets.collect::<io::Result<_>>()?,
        up,
    })
}

/// How many threads this process has; none: the system does not tell.
fn threads() -> Option<usize> {
    fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

fn remove(name: &str) {
    // SAFETY: nobody may read or write the environment at this time. The one caller has counted the threads and found itself
    // alone, and starts none until it returns.
    unsafe { std::env::remove_var(name) }
}

fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    let told = |error: io::Error| {
        let text = format!(
            "descriptor {number} was not passed although LISTEN_FDS counts it: {error}; start the gateway by its socket unit, or without LISTEN_FDS"
        );
        io::Error::new(error.kind(), text)
    };
    fs::symlink_metadata(format!("/proc/self/fd/{number}")).map_err(told)?;
    // SAFETY: the descriptor must be open and nobody else's. That it is open was just seen; whoever started this process passed
    // it under LISTEN_PID and LISTEN_FDS, which are removed, so that it is taken once; and nothing of this process opened a
    // descriptor and dropped its owner before. From here on the value closes it.
    let passed = unsafe { OwnedFd::from_raw_fd(number) };
    // Those who start processes later must not pass it on.
    fcntl_setfd(&passed, FdFlags::CLOEXEC)?;
    Ok(passed)
}
