//! When a connection will have overdone something, and what: the one timer of a connection is set to this.

use std::time::{Duration, Instant};

use super::{Activity, Stage};
use crate::config::ready::ClientTimeouts;

/// What a connection has overdone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// No request for too long.
    Idle,
    /// No request for a moment; the connection rests until one comes.
    Quiet,
    /// A head that does not end.
    Head,
    /// An answer that is not taken.
    Answer,
    /// The upstream has not answered; the exchange is told, the connection lives on.
    Upstream,
    /// The exchange with the upstream is not over; the exchange is told.
    Total,
    /// A hook waits, and the client may be gone; the connection looks, and lives on if it is not.
    Look,
    /// It still sends after its last answer.
    Linger,
    /// Streams; the connection looks through them, and lives on.
    Streams,
}

/// How long a connection is idle before it rests. Short, for memory is needed by those that come meanwhile; long enough that
/// one which is used at all keeps what it has.
const QUIET: Duration = Duration::from_millis(100);

/// How long a closing connection may still send. As nginx's `lingering_timeout`, but short: it is a courtesy.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// How long a client may be silent before it asks for the last time on a connection that is to end soon. Whoever kept it open
/// for longer asks as seldom as it finds one closed by the time for idle ones.
const ONCE_MORE: Duration = Duration::from_secs(5);

impl Activity {
    /// When the connection will have overdone something, and what; none while nothing is waited for.
    #[must_use]
    pub fn deadline(&self, limits: &ClientTimeouts) -> Option<(Instant, Overdue)> {
        let own = self.own_deadline(limits);
        if self.is_multiplexed() {
            self.with_streams(own, limits)
        } else {
            own
        }
    }

    fn own_deadline(&self, limits: &ClientTimeouts) -> Option<(Instant, Overdue)> {
        let after =
            |since: Instant, limit: Duration, what| since.checked_add(limit).map(|at| (at, what));
        let total = self.total_due.get().map(|at| (at, Overdue::Total));
        let nearest = |limits: [Option<(Instant, Overdue)>; 3]| {
            limits.into_iter().flatten().min_by_key(|(at, _)| *at)
        };
        if let Some(since) = self.blocked.get() {
            return nearest([after(since, limits.body, Overdue::Answer), total, None]);
        }
        match self.stage.get() {
            // The body has a limit of its own, on whoever reads it.
            Stage::Idle(_) if self.body_open.get() => None,
            // The client was told to open no more streams, and has none; it ought to close.
            Stage::Idle(since) if self.is_multiplexed() && self.is_draining() => {
                let told = self.draining.get().map_or(since, |told| told.max(since));
                after(told, LINGER, Overdue::Linger)
            }
            Stage::Idle(since) if self.is_draining() => {
                let told = self.draining.get().map_or(since, |told| told.max(since));
                after(told, limits.idle.min(ONCE_MORE), Overdue::Idle)
            }
            Stage::Idle(since) if limits.idle > QUIET && self.may_rest() => {
                after(since, QUIET, Overdue::Quiet)
            }
            Stage::Idle(since) => after(since, limits.idle, Overdue::Idle),
            Stage::Head(since) => after(since, limits.header, Overdue::Head),
            Stage::Exchange => {
                let answer = self.answer_due.get().map(|at| (at, Overdue::Upstream));
                let look = self.look_at.get().map(|at| (at, Overdue::Look));
                nearest([answer, look, total])
            }
            Stage::Lingering(since) => after(since, LINGER, Overdue::Linger),
        }
    }

    /// Whether there is something to give back: hyper holds nothing of a request that came, or of an answer.
    fn may_rest(&self) -> bool {
        !self.resting.get()
            && !self.unread.get()
            && !self.is_draining()
            && !self.is_multiplexed()
            && !self.is_stream()
    }
}
