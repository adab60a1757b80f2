//! The instances that take part in an exchange, and the order in which they run.
//!
//! [`Chain::run`] is a plain walk as long as nobody waits. A hook that has to wait ends the walk with
//! [`Outcome::Pending`] and its place in the slice; whoever walked parks the lane, tells the hook what happens with
//! [`Link::tell`], and walks on from the next place once it has answered. Bodies are walked link by link, each with its
//! own window, with [`Chain::call`].
//!
//! A chain is compiled when a snapshot is built: sorted once, split by phase once, so that an exchange only walks
//! slices. A phase without hooks is an empty slice and costs nothing.

mod call;
mod link;
mod outcome;
mod run;
mod trace;

use std::cmp::Ordering;
use std::sync::Arc;

pub use call::{Call, Matched, Skipped};
pub use link::owner;
pub use outcome::Outcome;
pub use trace::tell_values;

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

impl Link {
    /// How its plugin is named in logs: id and version.
    #[must_use]
    pub fn name(&self) -> String {
        let identity = self.instance.identity();
        format!("{}@{}", identity.id, identity.version)
    }
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
    request_body: Box<[Link]>,
    header_filter: Box<[Link]>,
    body_filter: Box<[Link]>,
    trailers: Box<[Link]>,
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
                .filter(|link| link.instance.bound().takes_part(phase))
                .cloned()
                .collect()
        };
        Self {
            rewrite: with(Phase::Rewrite),
            access: with(Phase::Access),
            request_body: with(Phase::RequestBody),
            header_filter: with(Phase::HeaderFilter),
            body_filter: with(Phase::BodyFilter),
            trailers: with(Phase::Trailers),
            log: with(Phase::Log),
            all: links.into(),
        }
    }

    /// Every link, in order.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.all
    }

    /// The links that have a hook for this phase, and for a body a need of it; all of them for the last one, which also
    /// releases states. None for what is no phase of a chain.
    #[must_use]
    pub fn of(&self, phase: Phase) -> &[Link] {
        match phase {
            Phase::Rewrite => &self.rewrite,
            Phase::Access => &self.access,
            Phase::RequestBody => &self.request_body,
            Phase::HeaderFilter => &self.header_filter,
            Phase::BodyFilter => &self.body_filter,
            Phase::Trailers => &self.trailers,
            Phase::Log => &self.log,
            Phase::RequestEnd => &self.all,
            // Nobody walks through them.
            Phase::OnEvent | Phase::OnTick | Phase::OnOpDone => &[],
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
        let over = !self.log.is_empty() || self.all.iter().any(ends);
        over || !self.body_filter.is_empty() || !self.trailers.is_empty()
    }

    /// The link of an instance that takes part.
    #[must_use]
    pub fn link_of(&self, owner: usize) -> Option<&Link> {
        let mut links = self.all.iter();
        links.find(|link| link::owner(&link.instance) == owner)
    }

    /// Whether an instance takes part.
    #[must_use]
    pub fn contains(&self, instance: &Arc<Instance>) -> bool {
        self.all
            .iter()
            .any(|link| Arc::ptr_eq(&link.instance, instance))
    }
}
