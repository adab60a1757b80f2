//! One change from its beginning to its end: read, validate, resolve, build, publish. Or nothing changes, and it says
//! why.
//!
//! - `start`: the first generation, from nothing;
//! - `reload`: another configuration;
//! - `rescan`: other plugin files for the same configuration;
//! - `pending`: a configuration that was refused and may become good;
//! - `probation`: versions that replaced others, and the way back;
//! - `named`: other files that the configuration names;
//! - `targets`: names of targets that lead elsewhere;
//! - `leave`: the end, and the process that takes over;
//! - `told`: what is said of all that.

mod leave;
mod named;
mod pending;
mod probation;
mod reload;
mod rescan;
mod start;
mod targets;
mod told;

use std::sync::Arc;
use std::time::Instant;

use super::assemble::{self, Reusable};
use super::checks::Checks;
use super::file::File;
use super::fleet::{Bound, Fleet};
use super::folder::Folder;
use super::probation::Probation;
use super::resolve::{Resolved, Trigger};
use super::status::Board;
use crate::config::ConfigError;
use crate::config::ready::{Config, Listener};
use crate::discovery::{Discovery, Known};
use crate::fault::quarantine::Quarantine;
use crate::fault::watchdog::Watchdog;
use crate::plugin::catalog::Catalog;
use crate::snapshot::Snapshot;
use crate::supervise::binder::Binder;

pub use named::Named;
use pending::{Pending, Tried};
pub(super) use start::settle;
pub use start::{Start, StartError};
pub use told::cannot_bind;

/// Control's own state: what serves, and what it was made of.
pub struct Control {
    file: File,
    /// Every image.
    pub catalog: Catalog,
    /// The plugins folder.
    pub folder: Folder,
    /// What the admin listener shows.
    pub board: Board,
    fleet: Fleet,
    checks: Checks,
    binder: Binder,
    quarantine: Quarantine,
    probations: Vec<Probation>,
    watchdog: Watchdog,
    config: Config,
    /// The files it names.
    named: Named,
    resolved: Vec<Resolved>,
    /// Looks up the names of targets.
    discovery: Discovery,
    /// What was known of them when the snapshot was made that serves.
    known: Known,
    /// What of that snapshot stays while only targets change.
    reusable: Reusable,
    /// What was seen last, the text or why there is none; the same again is no change.
    seen: Result<String, String>,
    /// A refused configuration that another folder could make good, or other files.
    pending: Option<Pending>,
    /// The folder the configuration was last resolved with.
    tried: Tried,
    generation: u64,
    attempts: u64,
    /// How often names led elsewhere.
    retargets: u64,
    /// When that was last.
    retargeted: Option<Instant>,
}

impl Control {
    /// Keeps the text of the configuration that serves from now on, and how long an upgrade may take by it, beyond this process
    /// where there is a parent.
    fn keep_text(&self) {
        if let Ok(text) = &self.seen {
            self.binder.keep_text(text);
        }
        self.binder.keep_limit(self.config.drain.upgrade);
    }

    async fn publish(
        &mut self,
        trigger: Trigger,
        bound: Bound,
        removed: &[Listener],
        changes: Vec<String>,
        notes: Vec<String>,
    ) {
        let snapshot = self.next(&self.reusable.table());
        self.reusable = Reusable::of(&snapshot);
        let before = self.config.drain.max;
        self.fleet.publish(&snapshot, bound, removed, before).await;
        self.published(&snapshot, trigger, changes, notes);
    }

    /// The next generation of what is configured, resolved and known, with what can be used again of the one before. It is
    /// what counts from here on: the checks of targets and the limits of the process follow it.
    fn next(&mut self, reusable: &Reusable) -> Arc<Snapshot> {
        self.generation += 1;
        let snapshot = Arc::new(assemble::snapshot(
            &self.config,
            &self.resolved,
            self.generation,
            self.catalog.metrics(),
            &self.named.material,
            &self.known,
            reusable,
        ));
        snapshot.enforce();
        self.checks.follow(&snapshot.upstreams);
        snapshot
    }
}

fn texts(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
