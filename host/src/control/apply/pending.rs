//! A configuration that was refused and may become good: with another plugin folder, or other files.

use std::time::Instant;

use super::Control;
use super::reload::Asked;
use super::rescan::Looked;
use crate::config::ready::Config;
use crate::control::folder::{Offer, RETRY};
use crate::tls::files::Files;

/// A configuration that was refused and may become good.
pub(super) struct Pending {
    pub(super) config: Config,
    pub(super) errors: Vec<String>,
    /// With what plugins were resolved; none: it did not come to that.
    pub(super) tried: Option<Tried>,
    /// The files it names, where they are why it was refused.
    pub(super) files: Option<Files>,
}

/// With what plugins were resolved: while that is the same, another attempt would end the same.
pub(super) struct Tried {
    /// What the folder offered.
    offer: Offer,
    /// When to try again although nothing changed, where a reason may pass.
    again: Option<Instant>,
}

impl Tried {
    pub(super) fn new(offer: Offer, passing: bool) -> Self {
        let again = passing.then(|| Instant::now() + RETRY);
        Self { offer, again }
    }

    pub(super) fn is_enough(&self, offer: Offer) -> bool {
        let due = self.again.is_some_and(|at| at <= Instant::now());
        offer == self.offer && !due
    }
}

impl Control {
    /// Tries a refused configuration again, if the folder offers something else than it did then.
    pub(super) async fn retry_pending(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let Some(tried) = &pending.tried else {
            // It waits for other files than plugins.
            self.pending = Some(pending);
            return;
        };
        // Its own settings decide which files it would find.
        self.catalog.set_loader(pending.config.loader.clone());
        let Looked { offer, .. } = self.look(false).await;
        self.catalog.set_loader(self.config.loader.clone());
        if tried.is_enough(offer) {
            self.pending = Some(pending);
        } else {
            self.reconfigure(pending.config, Asked::default()).await;
        }
    }

    /// A configuration names files that are still being written, and is tried again when they have come to rest.
    pub(super) fn waits_for(&mut self, config: Config, files: Files) {
        tracing::debug!(target: "control", "files that the configuration names are still being written");
        let why = "files that it names are still being written; it is applied once they have come to rest";
        self.pending = Some(Pending {
            config,
            errors: vec![why.to_owned()],
            tried: None,
            files: Some(files),
        });
    }
}
