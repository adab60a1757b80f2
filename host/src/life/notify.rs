//! The words for the service manager, and the way to it: a datagram to the socket it names, or to the process that
//! supervises this one and passes them on. See `sd_notify(3)`.
//!
//! Nobody waits for an answer and nothing here fails: a gateway whose service manager is gone serves on.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::handed::{Handed, SOCKET, UP, WATCHDOG};

pub use way::Parent;
use way::{Way, connect};

mod passing_on;
mod way;

#[cfg(test)]
mod tests;

/// What says that the process lives.
const ALIVE: &str = "WATCHDOG=1";
/// What stands before the words on a reload of a process that was never ready itself. The service manager does not know them;
/// the process that supervises this one does, and whether the service is up.
const PERHAPS: &str = "X_SWAPGATE_";
/// Longest text that is shown.
const STATUS: usize = 400;

/// A way to the service manager; to nobody, where there is none.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    way: Way,
    /// Its address, for the process that takes over from this one.
    address: Option<OsString>,
    watchdog: Option<Duration>,
    /// This process said that everything serves.
    ready: AtomicBool,
    /// This process or one before it did, so that the service is up.
    up: AtomicBool,
    /// Of a process that supervises: a child said that it reloads, and not yet how that ended.
    reloads: AtomicBool,
    /// Another process is the one to speak.
    silent: AtomicBool,
    /// Of a process that supervises: there is no child that speaks for itself.
    waits: AtomicBool,
}

impl Notifier {
    /// The way that was handed over.
    #[must_use]
    pub fn new(handed: &Handed) -> Self {
        let Some(address) = &handed.socket else {
            return Self::default();
        };
        match connect(address) {
            Ok(socket) => {
                let notifier =
                    Self::of(Way::Socket(socket), Some(address.clone()), handed.watchdog);
                notifier.is_up(handed.up);
                notifier
            }
            Err(error) => {
                tracing::warn!(target: "control", %error, "cannot reach the service manager at {}; it hears nothing of this process", address.display());
                Self::default()
            }
        }
    }

    /// The way through the process that supervises this one.
    #[must_use]
    pub fn by_parent(parent: Arc<dyn Parent>, watchdog: Option<Duration>) -> Self {
        Self::of(Way::Parent(parent), None, watchdog)
    }

    fn of(way: Way, address: Option<OsString>, watchdog: Option<Duration>) -> Self {
        Self(Some(Arc::new(Shared {
            way,
            address,
            watchdog,
            ready: AtomicBool::new(false),
            up: AtomicBool::new(false),
            reloads: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        })))
    }

    /// In which time the service manager wants to hear that this process lives.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Everything that is configured serves.
    pub fn ready(&self, status: &str) {
        if let Some(shared) = &self.0 {
            shared.ready.store(true, Ordering::Relaxed);
        }
        self.is_up(true);
        self.say(&format!("READY=1\n{}", shown(status)));
    }

    /// Whether this process said that.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_some_and(|shared| shared.ready.load(Ordering::Relaxed))
    }

    /// A reload begins that somebody asked for. What follows is [`Notifier::reloaded`], whatever becomes of it.
    ///
    /// Who asks a service that is up gets an answer, or would wait for ever; also where the process that was ready is gone and
    /// this one waits for a plugin. Before the first `READY=1` there is none, for it would be the one.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.answer(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It is over.
    pub fn reloaded(&self, status: &str) {
        self.answer(&format!("READY=1\n{}", shown(status)));
    }

    fn answer(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        if shared.up.load(Ordering::Relaxed) {
            self.say(text);
        } else if matches!(shared.way, Way::Parent(_)) {
            self.say(&format!("{PERHAPS}{text}"));
        }
    }

    /// Where one before was ready, the service is up from the beginning.
    fn is_up(&self, up: bool) {
        if let Some(shared) = &self.0 {
            shared.up.store(up, Ordering::Relaxed);
        }
    }

    /// What an operator sees in `systemctl status`.
    pub fn status(&self, status: &str) {
        self.say(&shown(status));
    }

    /// The process is on its way out.
    pub fn stopping(&self, status: &str) {
        self.say(&format!("STOPPING=1\n{}", shown(status)));
    }

    /// It needs more time, from now on.
    pub fn extend(&self, time: Duration) {
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
    }

    /// It lives, and so do its workers.
    pub fn alive(&self) {
        self.say(ALIVE);
    }

    /// Another process serves now and speaks from here on; this one says no more.
    pub fn main_pid(&self, pid: u32) {
        self.say(&format!("MAINPID={pid}"));
        self.hush();
    }

    /// Says no more: whatever becomes of this process is not the end of the service.
    pub fn hush(&self) {
        if let Some(shared) = &self.0 {
            shared.silent.store(true, Ordering::Relaxed);
        }
    }

    /// Variables for a process that takes over from this one; `WATCHDOG_PID` is left out, for it has another number.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Some(shared) = &self.0 else {
            return Vec::new();
        };
        let address = shared.address.clone().map(|address| (SOCKET, address));
        let up = shared.up.load(Ordering::Relaxed);
        let up = up.then(|| (UP, OsString::from("1")));
        address.into_iter().chain(self.times()).chain(up).collect()
    }

    /// Those for a process that speaks through this one.
    pub fn times(&self) -> Option<(&'static str, OsString)> {
        let watchdog = self.watchdog()?;
        Some((WATCHDOG, watchdog.as_micros().to_string().into()))
    }

    fn say(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        if shared.silent.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = shared.way.say(text) {
            tracing::debug!(target: "control", %error, "the service manager does not hear");
        }
    }
}

/// One line.
fn shown(status: &str) -> String {
    let line = status.replace(['\n', '\r'], " ");
    format!("STATUS={}", line.chars().take(STATUS).collect::<String>())
}
