//! One call of a hook: which one, for whom it was matched, and whom an exchange does not call any more.

use smallvec::SmallVec;

use crate::context::{Lane, Leads, Phase, RouteNames};
use crate::router::table::Table;

/// What an exchange was matched against.
#[derive(Clone, Copy)]
pub struct Matched<'a> {
    /// The table its parameters belong to.
    pub table: &'a Table,
    /// The matched route, if one was.
    pub names: Option<RouteNames<'a>>,
    /// Where the request may go, if the route forwards it.
    pub leads: Option<&'a dyn Leads>,
    /// The worker that serves it.
    pub worker: usize,
}

/// Instances that get no calls any more in this exchange: in both lanes after a panic, in one after they were told that
/// nobody waits.
#[derive(Debug, Default)]
pub struct Skipped(SmallVec<[(usize, Option<Lane>); 2]>);

impl Skipped {
    /// Passes an instance over from here on, in one lane or everywhere but in `request_end`.
    pub fn add(&mut self, owner: usize, lane: Option<Lane>) {
        self.0.push((owner, lane));
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instances that are passed over everywhere.
    pub fn everywhere(&self) -> impl Iterator<Item = usize> {
        let out = self.0.iter().filter(|(_, lane)| lane.is_none());
        out.map(|(owner, _)| *owner)
    }

    /// Whether an instance is passed over in a lane; none: in what comes after both.
    #[must_use]
    pub fn contains(&self, owner: usize, lane: Option<Lane>) -> bool {
        let covers = |over: &Option<Lane>| over.is_none() || *over == lane;
        !self.0.is_empty()
            && self
                .0
                .iter()
                .any(|(one, over)| *one == owner && covers(over))
    }
}

/// One call of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Which hook.
    pub phase: Phase,
    /// In which lane; that of the phase, but for `trailers`.
    pub lane: Lane,
    /// `SG_BODY_*`, for the hooks of bodies.
    pub flags: u32,
}

impl From<Phase> for Call {
    fn from(phase: Phase) -> Self {
        Self {
            phase,
            lane: phase.lane(),
            flags: 0,
        }
    }
}

impl Call {
    /// The lane in which somebody could wait.
    pub(super) fn waits_in(self) -> Option<Lane> {
        (self.phase != Phase::Log).then_some(self.lane)
    }
}
