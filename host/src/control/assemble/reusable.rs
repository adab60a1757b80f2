//! What of a generation stays while only targets change.

use std::sync::Arc;

use super::rules;
use crate::config::ready::Config;
use crate::router::table::{Misfit, Table};
use crate::snapshot::{Snapshot, Upstream};

/// What of a generation goes into the next one where only targets changed: making it anew costs time or forgets something.
#[derive(Clone)]
pub struct Reusable {
    table: Arc<Table>,
    upstreams: Vec<Arc<Upstream>>,
}

impl Reusable {
    /// What a configuration begins with: its routing table, made before anything is changed for it.
    ///
    /// # Errors
    /// The routes do not fit into one table.
    pub fn begin(config: &Config) -> Result<Self, Misfit> {
        Ok(Self {
            table: Arc::new(Table::build(&rules(config))?),
            upstreams: Vec::new(),
        })
    }

    /// The routing table without the upstreams, which are made anew.
    #[must_use]
    pub fn table(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            upstreams: Vec::new(),
        }
    }

    /// That of a generation.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            table: Arc::clone(&snapshot.table),
            upstreams: snapshot.upstreams.clone(),
        }
    }

    /// What another generation of the same configuration changes of it, in words.
    #[must_use]
    pub fn changes(&self, snapshot: &Snapshot) -> Vec<String> {
        let pairs = self.upstreams.iter().zip(&snapshot.upstreams);
        let changed = pairs.filter(|(old, new)| !Arc::ptr_eq(old, new));
        let words = |(old, new): (&Arc<Upstream>, &Arc<Upstream>)| {
            let name = &new.name;
            match (old.targets.len(), new.targets.len()) {
                (old, new) if old == new => format!("upstream {name} has other targets"),
                (old, new) => format!("upstream {name} has {new} targets in place of {old}"),
            }
        };
        changed.map(words).collect()
    }

    /// The routing table itself.
    pub(super) fn routing(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    /// The upstreams, in their order; none where they are made anew.
    pub(super) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }
}
