//! The end of what serves, its time limits, and the process that takes over.

use std::time::Duration;

use super::Control;
use crate::control::fleet::Losses;
use crate::endpoint::Endpoint;
use crate::life::notify::Notifier;
use crate::snapshot::{Farewell, Left};
use crate::supervise::origin::Origin;
use crate::supervise::successor::Attempt;
use crate::supervise::turn::Turn;
use crate::supervise::upgrade::Standing;

impl Control {
    /// Asks the workers to drain and waits until they have.
    pub async fn drained(&self) {
        self.binder.release_all();
        self.fleet.drain(&Farewell::default()).await;
    }

    /// The same where another process accepts from the listeners now, but for those that are gone: they go as they go in a
    /// reload.
    pub async fn drained_for_another(&self, gone: &[String]) {
        let addresses = self.config.listeners.iter().map(|one| &one.address);
        let is_gone = |address: &&Endpoint| gone.contains(&address.to_string());
        let (gone, kept): (Vec<_>, Vec<_>) = addresses.partition(is_gone);
        gone.into_iter()
            .for_each(|address| self.binder.release(address));
        self.binder.hand_over_all();
        let kept = kept.into_iter().cloned().collect();
        self.fleet.drain(&Farewell::to_another(kept)).await;
    }

    /// What an upgrade begins with.
    #[must_use]
    pub fn upgrade(
        &self,
        origin: &Origin,
        notifier: &Notifier,
        standing: &Standing,
        turn: Turn,
    ) -> Attempt {
        Attempt {
            origin: origin.clone(),
            variables: notifier.environment(),
            binder: self.binder.clone(),
            workers: self.config.workers,
            limit: self.config.drain.upgrade,
            standing: standing.clone(),
            turn,
        }
    }

    /// What is left to end.
    #[must_use]
    pub fn left(&self) -> Left {
        self.fleet.left()
    }

    /// Ends the exchanges that still run, so that their plugins hear of it, at most for `limit`.
    pub async fn cut(&self, limit: Duration) {
        self.fleet.cut(limit).await;
    }

    /// Gives the exchanges that run a while to end, and then ends them; the sockets stay with whoever else has them, for the
    /// process that comes next.
    pub async fn quit(&self, patience: Duration, limit: Duration) {
        self.binder.leave_files();
        let all = self.config.listeners.iter().map(|one| one.address.clone());
        let farewell = Farewell::to_another(all.collect());
        let _ = tokio::time::timeout(patience, self.fleet.drain(&farewell)).await;
        self.fleet.cut(limit).await;
    }

    /// A worker is lost, and nobody is to keep its sockets.
    pub fn let_go(&self) {
        self.binder.let_go();
    }

    /// Who tells of workers that panicked.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.fleet.losses()
    }

    /// Ends every instance and image, at most for `limit` each way.
    pub async fn end(mut self, limit: Duration) {
        // Workers say that they are drained before they let go of what they served.
        self.fleet.ended(limit).await;
        self.resolved.clear();
        self.probations.clear();
        self.catalog.quiesce(limit).await;
    }

    /// How long running exchanges may take at a shutdown.
    #[must_use]
    pub fn shutdown_limit(&self) -> Duration {
        self.config.drain.shutdown
    }

    /// How long everything is still accepted once a shutdown began.
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        self.config.drain.delay.unwrap_or_default()
    }

    /// How long one call into a plugin may take.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        self.config.loader.call_timeout
    }
}
