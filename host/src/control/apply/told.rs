//! What is said of a change: in the log, and on the board that the admin listener shows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Control;
use crate::config::ready::Listener;
use crate::control::assemble;
use crate::control::explain::View;
use crate::control::resolve::{Resolved, Trigger};
use crate::control::status::{self, Change};
use crate::endpoint::Endpoint;
use crate::life::privileges::low_port_advice;
use crate::snapshot::Snapshot;

impl Control {
    /// Shows what changed without a change of configuration: generations that were let go, calls that hang.
    pub fn show(&self) {
        let current = self.generation;
        let lagging = self.fleet.lagging(current);
        let draining = self
            .fleet
            .held()
            .into_iter()
            .filter(|(generation, _)| *generation != current)
            .collect();
        let stuck = self.catalog.foreign().stuck();
        self.board.update(|status| {
            status.draining = draining;
            status.lagging = lagging;
            status.stuck = stuck
                .iter()
                .map(|call| format!("{} of {}", call.hook, call.plugin))
                .collect();
        });
    }

    /// The sentence for a listener that a reload cannot bind: it may be our own socket that is in the way.
    pub(super) fn cannot_bind_now(&self, listener: &Listener, error: &std::io::Error) -> String {
        let port = |one: &Listener| self.fleet.address(&one.address).port();
        let mut own = self.config.listeners.iter();
        let same = |own: &&Listener| port(own).is_some() && port(own) == listener.address.port();
        match own.find(same) {
            Some(own) if error.kind() == std::io::ErrorKind::AddrInUse => format!(
                "listener {} cannot bind {} while this gateway itself listens on {}; restart the gateway to change over, or choose another port",
                listener.name, listener.address, own.address
            ),
            _ => cannot_bind(listener, error),
        }
    }

    pub(super) fn published(
        &mut self,
        snapshot: &Snapshot,
        trigger: Trigger,
        changes: Vec<String>,
        notes: Vec<String>,
    ) {
        let alive = self.resolved.iter().filter_map(|one| one.as_ref().ok());
        let images: Vec<_> = alive
            .filter_map(|instance| instance.image().cloned())
            .collect();
        self.catalog.published(images.iter());
        let degraded = assemble::degraded(&self.config, &self.resolved);
        for reason in &degraded {
            tracing::error!(target: "control", "degraded: {reason}");
        }
        self.binder.keep_degraded(&degraded);
        self.say(&notes);
        self.attempts += 1;
        let change = self.made(self.attempts, name(trigger), snapshot, changes);
        let global_missing = status::global_missing(&self.config, &self.resolved);
        let listeners = self.listeners();
        let routes = status::routes(&self.config, snapshot);
        let view = View::serving(&self.config, &self.resolved, snapshot.generation);
        let pending = self.waiting();
        self.board.update(|status| {
            status.generation = snapshot.generation;
            status.view = Some(Arc::new(view));
            status.last_change = Some(change);
            status.pending = pending;
            status.once_complete |= degraded.is_empty();
            status.global_missing = global_missing;
            status.degraded = degraded;
            status.notes = notes;
            status.listeners = listeners;
            status.routes = routes;
            status.upstreams.clone_from(&snapshot.upstreams);
            status.readiness = self.config.readiness;
            status.expiries = self.named.material.expiries();
        });
        self.warn();
        self.show_refused();
        self.show_names();
        self.show();
    }

    /// Says and counts a change that is published.
    pub(super) fn made(
        &self,
        number: u64,
        trigger: &'static str,
        snapshot: &Snapshot,
        changes: Vec<String>,
    ) -> Change {
        let change = Change::published(number, trigger, changes);
        self.counts(&change);
        tracing::info!(target: "control", generation = snapshot.generation, trigger, changes = change.changes.join(", "), "published");
        change
    }

    fn counts(&self, change: &Change) {
        let events = &self.catalog.metrics().events;
        events.changed(change.trigger, change.outcome);
    }

    /// Where everything listens, with the certificates that are shown there.
    fn listeners(&self) -> Vec<Value> {
        let listeners = self.config.listeners.iter().map(|listener| {
            let address = self.fleet.address(&listener.address).to_string();
            let mut document = json!({ "name": &*listener.name, "address": address });
            let certificates = self.named.material.document(&listener.name);
            if let (Value::Object(keys), Some(certificates)) = (&mut document, certificates) {
                keys.insert("certificates".to_owned(), certificates);
            }
            document
        });
        listeners.collect()
    }

    /// Logs the notes that were not there before.
    pub(super) fn say(&self, notes: &[String]) {
        let known = self.board.read(|status| status.notes.clone());
        for note in notes.iter().filter(|note| !known.contains(note)) {
            tracing::warn!(target: "control", "{note}");
        }
    }

    pub(super) fn told(&self, notes: Vec<String>) {
        self.say(&notes);
        self.board.update(|status| status.notes = notes);
        self.show_refused();
    }

    /// Shows which files are not taken; after they were tried, for that is when it becomes clear.
    pub(super) fn show_refused(&self) {
        let refused = self.folder.refusals().map(|refusal| json!(refusal));
        let refused: Vec<_> = refused.collect();
        self.board.update(|status| status.refused = refused);
    }

    /// What a configuration waits for.
    pub(super) fn waiting(&self) -> Option<Vec<String>> {
        let pending = self.pending.as_ref();
        pending.map(|pending| pending.errors.clone())
    }

    pub(super) fn refused(&mut self, trigger: Trigger, errors: &[String]) {
        self.attempts += 1;
        for error in errors {
            tracing::error!(target: "control", trigger = name(trigger), "refused, nothing changes: {error}");
        }
        let change = Change::refused(self.attempts, name(trigger), errors.to_vec());
        self.counts(&change);
        let pending = self.waiting();
        self.board.update(|status| {
            status.last_change = Some(change);
            status.pending = pending;
        });
        self.show_refused();
    }
}

/// The sentence for a listener that cannot be bound.
#[must_use]
pub fn cannot_bind(listener: &Listener, error: &std::io::Error) -> String {
    if let Endpoint::Unix(_) = listener.address {
        // The error says itself what to do.
        return format!(
            "listener {} cannot bind {}: {error}",
            listener.name, listener.address
        );
    }
    let port = listener.address.port().unwrap_or(0);
    if let Some(advice) = low_port_advice(port, error) {
        return format!(
            "listener {} cannot bind {}: {error}; {advice}",
            listener.name, listener.address
        );
    }
    format!(
        "listener {} cannot bind {}: {error}; end what listens there, or choose another address",
        listener.name, listener.address
    )
}

fn name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Start | Trigger::Again => "start",
        Trigger::Reload => "reload",
        Trigger::Folder => "folder",
        Trigger::Files => "files",
        Trigger::Check => "check",
    }
}

/// Whether a use has another file now than it had before.
pub(super) fn replaces_an_image(before: &[Resolved], after: &[Resolved]) -> bool {
    let mut pairs = before.iter().zip(after);
    pairs.any(|pair| match pair {
        (Ok(old), Ok(new)) => old.identity().digest != new.identity().digest,
        _ => false,
    })
}

/// What a look at the folder changed, in words.
pub(super) fn swapped(before: &[Resolved], after: &[Resolved]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (old, new) in before.iter().zip(after) {
        let word = match (old, new) {
            (Ok(old), Ok(new)) if !Arc::ptr_eq(old, new) => {
                let (old, new) = (old.identity(), new.identity());
                format!(
                    "plugin {} swapped from {} ({}) to {} ({})",
                    new.id,
                    old.version,
                    short(&old.digest),
                    new.version,
                    short(&new.digest)
                )
            }
            (Err(_), Ok(new)) => format!(
                "plugin {} {} is there now",
                new.identity().id,
                new.identity().version
            ),
            (Err(old), Err(new)) if old != new => new.clone(),
            _ => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
