//! A gateway between its start and the moment at which it serves, or ends.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::builder::Builder;
use crate::eventually::wait_for;
use crate::gateway::{Gateway, Refusal, read};

/// A process that was started and has not been waited for.
pub struct Launch {
    child: Child,
    builder: Builder,
}

impl Launch {
    pub(crate) fn new(builder: Builder) -> Self {
        let child = builder.spawn();
        Self { child, builder }
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process was waited for already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("nobody else waits for the process");
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.builder.path("log"))
    }

    /// Whether it serves.
    #[must_use]
    pub fn has_announced(&self) -> bool {
        self.builder.has_announced()
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    #[track_caller]
    pub fn wait_until_it_serves(self) -> Gateway {
        self.builder.wait_until_it_serves(self.child)
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it has not in time.
    #[must_use]
    #[track_caller]
    pub fn wait_for_end(mut self) -> Refusal {
        let child = &mut self.child;
        let status = wait_for("the gateway to end", || {
            child.try_wait().expect("the child is ours")
        });
        Refusal {
            code: status.code(),
            stderr: self.log(),
        }
    }
}
