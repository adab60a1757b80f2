//! Files and signals become events.
//!
//! An event only ever means "look": what changed is found by looking, because events are merged, lost and misleading
//! (a hard link gives only Create, `cp` in place gives several Modify, a `ConfigMap` swaps a link two folders up). The
//! rescan in the main loop covers what is lost.

use std::path::Path;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::events::Event;

/// Watches for as long as it lives.
pub struct Watch {
    _folder: Option<RecommendedWatcher>,
    _config: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches the plugins folder and the folder of the configuration file. What cannot be watched is said; the rescan
    /// finds changes then.
    #[must_use]
    pub fn start(folder: &Path, config: &Path, events: &UnboundedSender<Event>) -> Self {
        let beside = config
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Self {
            _folder: watcher(folder, Event::Folder, events.clone()),
            _config: watcher(beside, Event::Config { asked: false }, events.clone()),
        }
    }
}

fn watcher(
    path: &Path,
    event: Event,
    events: UnboundedSender<Event>,
) -> Option<RecommendedWatcher> {
    let made = notify::recommended_watcher(move |seen: notify::Result<notify::Event>| {
        let worth = seen.as_ref().map_or(true, |seen| is_a_change(seen.kind));
        if worth {
            let _ = events.send(event);
        }
    });
    let watching = made.and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(target: "control", path = %path.display(), %error, "cannot watch, looking every 10 s instead");
            None
        }
    }
}

/// Opening and reading changes nothing, and our own reads would keep us busy for ever.
fn is_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The signals an operator may send.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over; from here on none of them has its default effect.
    ///
    /// # Errors
    /// The system takes no handler.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one that ends the process, and says its name; SIGHUP becomes an event meanwhile.
    pub async fn end(&mut self, events: &UnboundedSender<Event>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => { let _ = events.send(Event::Config { asked: true }); }
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
            }
        }
    }
}
