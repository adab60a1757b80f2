//! Other plugin files for the configuration that serves: the folder is looked at, and what it offers is resolved anew.

use std::sync::Arc;
use std::time::Duration;

use super::Control;
use super::pending::Tried;
use super::told::{replaces_an_image, swapped};
use crate::config::ready::Config;
use crate::control::fleet::Bound;
use crate::control::folder::{Offer, PREVIOUS};
use crate::control::previous;
use crate::control::probation::Probation;
use crate::control::resolve::{Before, Refused, Resolution, Resolved, Trigger, resolve};

/// What a look at the folder gave.
pub(super) struct Looked {
    /// How long to wait before looking again, if a file has not come to rest.
    pub(super) wait: Option<Duration>,
    /// What it offers.
    pub(super) offer: Offer,
}

impl Control {
    /// Looks at the folder and applies what it says. Gives back how long to wait before looking again, if a file has
    /// not come to rest.
    pub async fn rescan(&mut self) -> Option<Duration> {
        self.retry_pending().await;
        let Looked { wait, offer } = self.look(false).await;
        // A file that never comes to rest is looked at many times a second; trying every configuration anew each time
        // would start as many children.
        if self.tried.is_enough(offer) {
            self.show_refused();
            return sooner(wait, self.folder.next_chance());
        }
        let resolution = self.resolve_anew(None).await;
        let passing = match &resolution {
            Ok(resolution) => resolution.passing,
            Err(refused) => refused.passing,
        };
        self.tried = Tried::new(offer, passing);
        match resolution {
            Ok(resolution) => self.swap(resolution, None).await,
            Err(_) => self.catalog.metrics().events.swapped("refused"),
        }
        sooner(wait, self.folder.next_chance())
    }

    /// Resolves the uses of what serves by what the folder offers now, or those of another configuration in its place.
    pub(super) async fn resolve_anew(
        &mut self,
        other: Option<&Config>,
    ) -> Result<Resolution, Refused> {
        let (config, trigger) = match other {
            Some(other) => (other, Trigger::Reload),
            None => (&self.config, Trigger::Folder),
        };
        let before = Before {
            config: &self.config,
            resolved: &self.resolved,
        };
        let (folder, catalog) = (&mut self.folder, &mut self.catalog);
        resolve(config, trigger, Some(before), folder, catalog).await
    }

    /// Looks at the folder as the catalog's settings have it. Files whose refusal may pass get another chance if it is
    /// `fresh`, if other files came or went, and after a while.
    pub(super) async fn look(&mut self, fresh: bool) -> Looked {
        let permissions = self.catalog.loader().permissions;
        self.quarantine.look();
        self.folder.hold(&self.quarantine.held());
        self.folder.forget_passing(fresh);
        let before = self.folder.offer();
        let mut wait = self.folder.refresh(&mut self.catalog, permissions).await;
        if self.folder.offer() != before && self.folder.forget_passing(true) {
            wait = self.folder.refresh(&mut self.catalog, permissions).await;
        }
        let offer = self.folder.offer();
        Looked { wait, offer }
    }

    /// Publishes what a look at the folder changed, if it did; or a return from a version that failed its probation.
    pub(super) async fn swap(&mut self, resolution: Resolution, failed: Option<&Probation>) {
        if same(&self.resolved, &resolution.uses) {
            return self.told(resolution.notes);
        }
        let changes = swapped(&self.resolved, &resolution.uses);
        self.keep_replaced(&resolution.uses);
        self.begin_probation(&resolution.uses, failed);
        if replaces_an_image(&self.resolved, &resolution.uses) {
            self.catalog.metrics().events.swapped("published");
        }
        self.resolved = resolution.uses;
        let none = Bound::default();
        self.publish(Trigger::Folder, none, &[], changes, resolution.notes)
            .await;
    }

    /// Keeps the files that are replaced by what uses got now, for the time when the new ones are put into quarantine.
    pub(super) fn keep_replaced(&self, uses: &[Resolved]) {
        let named = |id: &str| {
            let new = uses.iter().filter_map(|one| one.as_ref().ok());
            new.map(|instance| instance.identity())
                .filter(move |identity| identity.id == id)
                .map(|identity| &identity.digest)
                .collect::<Vec<_>>()
        };
        let mut done: Vec<&str> = Vec::new();
        for old in self.resolved.iter().filter_map(|one| one.as_ref().ok()) {
            let identity = old.identity();
            let new = named(&identity.id);
            let digest = &identity.digest;
            let replaced = !new.is_empty() && !new.contains(&digest);
            if !replaced || done.contains(&&**digest) || self.quarantine.holds(digest).is_some() {
                continue;
            }
            done.push(digest);
            let fit = old.image().and_then(|image| self.catalog.fit_of(image));
            let kept = fit.map(|fit| previous::keep(&self.config.state_dir.join(PREVIOUS), &fit));
            if let Some(Err(error)) = kept {
                tracing::warn!(target: "control", plugin = %identity.id, %error, "cannot keep the file that served before; there is nothing to fall back to");
            }
        }
    }
}

/// The shorter of two waits.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn same(before: &[Resolved], after: &[Resolved]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|pair| match pair {
            (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
            (Err(a), Err(b)) => a == b,
            _ => false,
        })
}
