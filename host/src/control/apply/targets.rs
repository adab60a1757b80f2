//! Names of targets that lead elsewhere: what serves is published again with other targets, and nothing else is made anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Control;
use crate::control::assemble::Reusable;
use crate::control::explain::View;
use crate::control::fleet::Bound;
use crate::snapshot::Snapshot;

/// Between two generations that names bring about there is at least this. Whoever answers for names says how often they
/// change, and every generation is work for every worker.
const APART: Duration = Duration::from_secs(1);

impl Control {
    /// Publishes what names lead to now, if that is something else than what serves. Gives back how long to wait before
    /// looking again, if it is too soon; then only the newest counts.
    pub async fn rediscover(&mut self) -> Option<Duration> {
        let known = self.discovery.known();
        if known == self.known {
            self.show_names();
            return None;
        }
        let lags = !self.fleet.lagging(self.generation).is_empty();
        if let Some(wait) = wait(self.retargeted, Instant::now(), lags) {
            self.show_names();
            return Some(wait);
        }
        self.retargeted = Some(Instant::now());
        self.known = known;
        self.catalog
            .services()
            .adopt(&self.config, &self.named.material, &self.known);
        let before = self.reusable.clone();
        let snapshot = self.next(&before);
        let changes = before.changes(&snapshot);
        self.reusable = Reusable::of(&snapshot);
        // Nobody asked for this change, and it replaces nothing of what an exchange holds but targets.
        self.fleet
            .publish(&snapshot, Bound::default(), &[], None)
            .await;
        self.say_retargeted(&snapshot, changes);
        None
    }

    /// Says and shows it. It may be often, so it does not take the place of the last change that somebody asked for.
    fn say_retargeted(&mut self, snapshot: &Snapshot, changes: Vec<String>) {
        self.retargets += 1;
        let change = self.made(self.retargets, "discovery", snapshot, changes);
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

/// How long names have to wait, which led elsewhere `last`. A worker that lags holds what came before, and would have to hold
/// all that comes now.
fn wait(last: Option<Instant>, now: Instant, lags: bool) -> Option<Duration> {
    if lags {
        return Some(APART);
    }
    let left = APART.checked_sub(now.saturating_duration_since(last?));
    left.filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_what_serves_once_a_second_and_not_while_a_worker_lags() {
        let last = Instant::now();
        let after = |ms, lags| wait(Some(last), last + Duration::from_millis(ms), lags);
        assert_eq!(wait(None, last, false), None);
        assert_eq!(after(0, false), Some(APART));
        assert_eq!(after(900, false), Some(Duration::from_millis(100)));
        assert_eq!((after(1000, false), after(9000, false)), (None, None));
        assert_eq!(after(9000, true), Some(APART));
        assert_eq!(wait(None, last, true), Some(APART));
    }
}
