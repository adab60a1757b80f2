//! What a supervising process does with the words of those that it starts: it passes them on, and speaks while they cannot.

use std::sync::atomic::Ordering;

use super::{ALIVE, Notifier, PERHAPS};

/// What a supervised process may say to it: how things are, and neither which process counts nor what is kept.
const MAY_SAY: [&str; 7] = [
    "READY=",
    "RELOADING=",
    "MONOTONIC_USEC=",
    "STATUS=",
    "STOPPING=",
    "EXTEND_TIMEOUT_USEC=",
    ALIVE,
];

impl Notifier {
    /// Passes on what a supervised process says, as it says it; what is not for it to say is left out.
    pub fn pass_on(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        let text = match text.strip_prefix(PERHAPS) {
            // A service that is not up yet has no reloads.
            Some(_) if !shared.up.load(Ordering::Relaxed) => return,
            Some(rest) => rest,
            None => text,
        };
        let may = |line: &&str| MAY_SAY.iter().any(|start| line.starts_with(start));
        let text: Vec<&str> = text.lines().filter(may).collect();
        let text = text.join("\n");
        if text.is_empty() {
            return;
        }
        if text == ALIVE {
            shared.waits.store(false, Ordering::Relaxed);
        }
        if text.starts_with("READY=1") {
            shared.up.store(true, Ordering::Relaxed);
            shared.reloads.store(false, Ordering::Relaxed);
        }
        if text.starts_with("RELOADING=1") {
            shared.reloads.store(true, Ordering::Relaxed);
        }
        self.say(&text);
    }

    /// A supervised process is started, and says nothing until it serves. A reload that the one before began is over.
    pub fn waits_for_child(&self) {
        let Some(shared) = &self.0 else {
            return;
        };
        shared.waits.store(true, Ordering::Relaxed);
        if shared.reloads.swap(false, Ordering::Relaxed) {
            self.say("READY=1");
        }
    }

    /// Says that all is alive while a supervised process cannot yet: a start may take longer than the service manager waits.
    pub async fn stand_in(self) {
        let (Some(limit), Some(shared)) = (self.watchdog(), &self.0) else {
            return;
        };
        let mut beat = tokio::time::interval(limit / 2);
        loop {
            beat.tick().await;
            if shared.waits.load(Ordering::Relaxed) {
                self.alive();
            }
        }
    }
}
