//! Who may end a process: whoever sends it a signal, and the process that supervises it.

use tokio::sync::mpsc::UnboundedSender;

use crate::control::events::Event;
use crate::control::watch::Signals;
use crate::supervise::link::Link;

/// Hears of it when the process is to end. Signals that ask for something else become events.
pub(super) struct Ends<'a> {
    signals: Signals,
    events: UnboundedSender<Event>,
    parent: Option<&'a Link>,
}

impl<'a> Ends<'a> {
    /// `parent` is the process that supervises this one.
    pub(super) fn new(
        signals: Signals,
        events: UnboundedSender<Event>,
        parent: Option<&'a Link>,
    ) -> Self {
        Self {
            signals,
            events,
            parent,
        }
    }

    /// Whether a process supervises this one.
    pub(super) fn is_supervised(&self) -> bool {
        self.parent.is_some()
    }

    /// Waits for a signal that ends the process, or for the end of the process that supervises this one.
    pub(super) async fn next(&mut self) -> &'static str {
        let Some(parent) = self.parent else {
            return self.signals.end(&self.events).await;
        };
        tokio::select! {
            signal = self.signals.end(&self.events) => signal,
            who = parent.end() => who,
        }
    }

    /// Waits, while it drains, for a request to end at once. One that drains because it was `replaced` was not asked before.
    pub(super) async fn again(&mut self, replaced: bool) -> &'static str {
        if replaced && self.parent.is_none() {
            // The first one asks for what it does already.
            let signal = self.now().await;
            tracing::info!(target: "control", signal, "draining already; another signal ends what still runs");
        }
        self.now().await
    }

    /// Waits for a request to end at once. Where a parent supervises, it is the one to count them: a signal to the whole group
    /// of processes, as systemd sends it, reaches both and is one request.
    async fn now(&mut self) -> &'static str {
        let Some(parent) = self.parent else {
            return self.signals.end(&self.events).await;
        };
        loop {
            tokio::select! {
                signal = self.signals.end(&self.events) => {
                    if parent.is_orphan() {
                        return signal;
                    }
                }
                () = parent.end_now() => return "told by the supervising process",
            }
        }
    }
}
