//! Names of targets that lead elsewhere: what serves is published again with other targets, and nothing else is made anew.

use std::sync::Arc;

use super::Control;
use crate::control::assemble::{self, Reusable};
use crate::control::explain::View;
use crate::control::fleet::Bound;
use crate::control::status::Change;
use crate::snapshot::Snapshot;

impl Control {
    /// Publishes what names lead to now, if that is something else than what serves.
    pub async fn rediscover(&mut self) {
        let known = self.discovery.known();
        if known == self.known {
            return self.show_names();
        }
        self.known = known;
        self.catalog
            .services()
            .adopt(&self.config, &self.named.material, &self.known);
        self.generation += 1;
        let snapshot = Arc::new(assemble::snapshot(
            &self.config,
            &self.resolved,
            self.generation,
            self.catalog.metrics(),
            &self.named.material,
            &self.known,
            Some(&self.reusable),
        ));
        snapshot.enforce();
        self.checks.follow(&snapshot.upstreams);
        let changes = self.reusable.changes(&snapshot);
        self.reusable = Reusable::of(&snapshot);
        self.fleet.publish(&snapshot, Bound::default(), &[]).await;
        self.retargeted(&snapshot, changes);
    }

    /// Says and shows it. It may be often, so it does not take the place of the last change that somebody asked for.
    fn retargeted(&mut self, snapshot: &Snapshot, changes: Vec<String>) {
        self.retargets += 1;
        let change = Change::now(
            self.retargets,
            "discovery",
            "published",
            changes,
            Vec::new(),
        );
        self.catalog
            .metrics()
            .events
            .changed(change.trigger, change.outcome);
        tracing::info!(target: "control", generation = snapshot.generation, trigger = change.trigger, changes = change.changes.join(", "), "published");
        let view = View::serving(&self.config, &self.resolved, snapshot.generation);
        self.board.update(|status| {
            status.generation = snapshot.generation;
            status.upstreams.clone_from(&snapshot.upstreams);
            status.view = Some(Arc::new(view));
            status.last_discovery = Some(change);
        });
        self.show_names();
    }

    /// Shows what is known of names.
    pub(super) fn show_names(&self) {
        let names = self.discovery.document();
        self.board.update(|status| status.names = names);
    }
}
