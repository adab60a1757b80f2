//! Children that were replaced and drain: they are waited for, and nothing is started for them.

use std::time::Duration;

use tokio::sync::watch;

use super::Parent;
use super::signals::Signals;
use super::told::tell;
use crate::supervise::process::{Process, Seen};
use crate::supervise::wire::{Said, Told};

/// How often more time is asked of the service manager while replaced children drain, and how much.
const AGAIN: Duration = Duration::from_secs(3);
const MORE: Duration = Duration::from_secs(15);

impl Parent {
    /// Waits for those that were replaced and drain, which have a limit of their own.
    pub(super) async fn see_off(&mut self, signals: &mut Signals) {
        self.give_up("the gateway ends");
        // They say no more to the service manager, which would end them at its own limit.
        self.notifier.waits_for_child();
        let mut again = tokio::time::interval(AGAIN);
        for leaving in std::mem::take(&mut self.leaving) {
            let mut leaving = std::pin::pin!(leaving);
            loop {
                tokio::select! {
                    _ = &mut leaving => break,
                    _ = again.tick() => self.notifier.extend(MORE),
                    () = signals.end() => self.stops.send_modify(|stops| *stops += 1),
                }
            }
        }
    }
}

/// Waits for the end of a child that was replaced. Whatever becomes of it, nothing is started for it.
pub(super) async fn leave(mut process: Process, mut stops: watch::Receiver<u32>) {
    let mut crashed = None;
    let status = loop {
        tokio::select! {
            seen = process.next() => match seen {
                Ok(Seen::Said(Said::Crashed(report))) => { crashed.get_or_insert(*report); }
                Ok(Seen::Said(_)) => {}
                Ok(Seen::Ended(status)) => break Ok(status),
                Err(error) => break Err(error),
            },
            // The first one asks for what it does already.
            true = told_twice(&mut stops) => {
                let _ = process.tell(&Told::End { now: true });
                break process.wait().await;
            }
        }
    };
    let number = process.who.as_ref().map_or(0, |who| who.pid);
    match status {
        Ok(status) if status.success() => {
            tracing::info!(target: "supervisor", "upgrade: process {number}, which served before, has ended");
        }
        Ok(status) => {
            while let Some(said) = process.last_word().await {
                if let Said::Crashed(report) = said {
                    crashed.get_or_insert(*report);
                }
            }
            tell(
                crashed.as_ref(),
                status,
                "it had been replaced and was draining",
            );
        }
        Err(error) => {
            tracing::error!(target: "supervisor", %error, "cannot wait for process {number}, which served before");
        }
    }
}

/// Waits until an operator asked twice for the end; false if nobody can any more.
async fn told_twice(stops: &mut watch::Receiver<u32>) -> bool {
    stops.wait_for(|stops| *stops > 1).await.is_ok()
}
