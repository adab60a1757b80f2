//! The instances that take part in an exchange, and the order in which they run.
//!
//! A chain is compiled when a snapshot is built: sorted once, split by phase once, so that an exchange only walks
//! slices. A phase without hooks is an empty slice and costs nothing.

mod outcome;
mod run;

use std::cmp::Ordering;
use std::sync::Arc;

pub use outcome::{Outcome, PluginFault};
pub use run::{Matched, Skipped};

use crate::config::ready::OnError;
use crate::context::Phase;
use crate::plugin::instance::Instance;

/// One instance at its place in a chain.
#[derive(Clone)]
pub struct Link {
    /// The instance.
    pub instance: Arc<Instance>,
    /// What happens when it fails.
    pub on_error: OnError,
    /// Its place in every phase; highest first.
    pub priority: i32,
}

/// The order in which plugins run, by priority and id: highest first, ties by name.
#[must_use]
pub fn order((priority, id): (i32, &str), (other_priority, other_id): (i32, &str)) -> Ordering {
    other_priority.cmp(&priority).then_with(|| id.cmp(other_id))
}

/// Instances in the order in which they run, by phase.
#[derive(Default)]
pub struct Chain {
    all: Box<[Link]>,
    rewrite: Box<[Link]>,
    access: Box<[Link]>,
    header_filter: Box<[Link]>,
    log: Box<[Link]>,
}

impl Chain {
    /// Compiles a chain: by priority, highest first, ties by name.
    #[must_use]
    pub fn compile(mut links: Vec<Link>) -> Self {
        links.sort_by(|a, b| {
            let (a_id, b_id) = (&a.instance.identity().id, &b.instance.identity().id);
            order((a.priority, a_id), (b.priority, b_id))
        });
        let with = |phase| {
            links
                .iter()
                .filter(|link| link.instance.bound().has(phase))
                .cloned()
                .collect()
        };
        Self {
            rewrite: with(Phase::Rewrite),
            access: with(Phase::Access),
            header_filter: with(Phase::HeaderFilter),
            log: with(Phase::Log),
            all: links.into(),
        }
    }

    /// Every link, in order.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.all
    }

    /// The links that have a hook for this phase; all of them for the last one, which also releases states.
    #[must_use]
    pub fn of(&self, phase: Phase) -> &[Link] {
        match phase {
            Phase::Rewrite => &self.rewrite,
            Phase::Access => &self.access,
            Phase::HeaderFilter => &self.header_filter,
            Phase::Log => &self.log,
            Phase::RequestEnd => &self.all,
        }
    }

    /// Whether a hook runs after the request was sent on and may read it.
    #[must_use]
    pub fn reads_request_later(&self) -> bool {
        let reads = |link: &Link| link.instance.bound().reads_request_later();
        self.all.iter().any(reads)
    }

    /// Whether a hook runs after the answer was sent on, and so may read it.
    #[must_use]
    pub fn reads_answer_later(&self) -> bool {
        let ends = |link: &Link| link.instance.bound().has(Phase::RequestEnd);
        !self.log.is_empty() || self.all.iter().any(ends)
    }

    /// Whether an instance takes part.
    #[must_use]
    pub fn contains(&self, instance: &Arc<Instance>) -> bool {
        self.all
            .iter()
            .any(|link| Arc::ptr_eq(&link.instance, instance))
    }
}
