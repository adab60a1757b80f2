//! The process: as whom it runs, and how it comes to its end.

use std::time::Duration;

/// How a process, and what a reload replaced, comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long a shutdown goes on accepting while `/readyz` says no already.
    pub delay: Option<Duration>,
    /// How long a shutdown waits for running exchanges.
    pub shutdown: Duration,
    /// How long the new process of an upgrade may take until it serves.
    pub upgrade: Duration,
    /// How long exchanges and tunnels may run on that began before a reload or a swap.
    pub max: Option<Duration>,
}

/// As whom the process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// The user to become once everything is bound.
    pub user: Option<String>,
    /// The group to become; the first group of the user unless set.
    pub group: Option<String>,
}
