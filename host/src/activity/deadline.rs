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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Leave;
    use crate::activity::tests::{LIMITS, due, earlier, idle};

    #[test]
    fn each_stage_has_its_limit() {
        let activity = Activity::new(Instant::now());
        assert_eq!(due(&activity), Some(Overdue::Head));
        activity.exchange_begins();
        activity.read();
        assert_eq!(due(&activity), None);
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer));
        activity.wrote(false);
        activity.expect_answer(Some(Instant::now()));
        assert_eq!(due(&activity), Some(Overdue::Upstream));
        activity.answer_is_late();
        assert!(activity.is_answer_late());
        assert_eq!(due(&activity), None);
        activity.limit_total(Some(Instant::now()));
        assert_eq!(due(&activity), Some(Overdue::Total));
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Total), "it runs on");
        activity.wrote(false);
        activity.total_is_over();
        assert!(activity.is_total_over());
        assert_eq!(due(&activity), None);
        activity.body_begins();
        activity.exchange_ends(Instant::now());
        assert!(!activity.is_total_over(), "that was the one before");
        activity.read();
        assert_eq!(
            due(&activity),
            None,
            "a body that outlives its answer is no head"
        );
        activity.body_ends(true);
        assert_eq!(due(&activity), Some(Overdue::Quiet));
        activity.rests(true);
        assert_eq!(due(&activity), Some(Overdue::Idle));
        activity.rests(false);
        activity.read();
        let first = activity.deadline(&LIMITS);
        activity.read();
        assert_eq!(
            activity.deadline(&LIMITS),
            first,
            "more bytes of a head give it no more time"
        );
    }

    #[test]
    fn only_who_holds_nothing_rests() {
        let idle = || idle(Instant::now());
        assert_eq!(due(&idle()), Some(Overdue::Quiet));
        let activity = idle();
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer));
        let activity = idle();
        activity.body_begins();
        assert_eq!(due(&activity), None);
        activity.body_ends(false);
        assert_eq!(due(&activity), Some(Overdue::Idle), "bytes may come");
        let activity = idle();
        activity.drain();
        assert_eq!(due(&activity), Some(Overdue::Idle));
        let activity = idle();
        activity.speaks_in_streams();
        assert_eq!(due(&activity), Some(Overdue::Idle));
    }

    #[test]
    fn each_limit_is_counted_from_what_began_it() {
        let now = Instant::now();
        let activity = Activity::new(now);
        let deadline = |activity: &Activity| activity.deadline(&LIMITS);
        assert_eq!(
            deadline(&activity),
            Some((now + LIMITS.header, Overdue::Head))
        );
        let activity = idle(now);
        assert_eq!(deadline(&activity), Some((now + QUIET, Overdue::Quiet)));
        activity.rests(true);
        assert_eq!(
            deadline(&activity),
            Some((now + LIMITS.idle, Overdue::Idle))
        );
        activity.wrote(true);
        let (at, what) = deadline(&activity).unwrap();
        assert_eq!(what, Overdue::Answer);
        assert!(at >= now + LIMITS.body && at <= Instant::now() + LIMITS.body);
    }

    #[test]
    fn nobody_rests_who_would_be_closed_by_then() {
        let now = Instant::now();
        let of = |idle: Duration| ClientTimeouts { idle, ..LIMITS };
        let activity = idle(now);
        for limit in [QUIET, QUIET / 2] {
            assert_eq!(
                activity.deadline(&of(limit)),
                Some((now + limit, Overdue::Idle))
            );
        }
        let longer = QUIET + Duration::from_millis(1);
        assert_eq!(
            activity.deadline(&of(longer)),
            Some((now + QUIET, Overdue::Quiet))
        );
        assert_eq!(
            activity.deadline(&of(Duration::MAX)).unwrap().0,
            now + QUIET
        );
        activity.rests(true);
        assert_eq!(activity.deadline(&of(Duration::MAX)), None, "without limit");
    }

    #[test]
    fn who_is_to_end_soon_may_ask_once_more() {
        let activity = idle(earlier());
        let before = Instant::now();
        activity.leave(Leave::Soon);
        let (at, what) = activity.deadline(&LIMITS).unwrap();
        assert_eq!(what, Overdue::Idle);
        assert!(at >= before + ONCE_MORE && at <= Instant::now() + ONCE_MORE);
        let later = Instant::now() + LINGER;
        activity.exchange_ends(later);
        assert_eq!(
            activity.deadline(&LIMITS),
            Some((later + ONCE_MORE, Overdue::Idle))
        );
        let short = ClientTimeouts {
            idle: Duration::from_secs(1),
            ..LIMITS
        };
        assert_eq!(
            activity.deadline(&short),
            Some((later + short.idle, Overdue::Idle))
        );
    }

    #[test]
    fn who_was_told_to_open_no_more_streams_ought_to_close() {
        let activity = idle(earlier());
        activity.speaks_in_streams();
        let before = Instant::now();
        activity.leave(Leave::Soon);
        let (at, what) = activity.deadline(&LIMITS).unwrap();
        assert_eq!(what, Overdue::Linger);
        assert!(at >= before + LINGER && at <= Instant::now() + LINGER);
        let later = Instant::now() + ONCE_MORE;
        activity.exchange_ends(later);
        assert_eq!(
            activity.deadline(&LIMITS),
            Some((later + LINGER, Overdue::Linger))
        );
    }

    #[test]
    fn of_all_that_an_exchange_waits_for_the_nearest_is_due() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        activity.wait_begins();
        activity.expect_answer(Some(after(40)));
        activity.limit_total(Some(after(50)));
        assert_eq!(due(&activity), Some(Overdue::Look));
        activity.wait_ends();
        assert_eq!(due(&activity), Some(Overdue::Upstream));
        activity.limit_total(Some(after(35)));
        assert_eq!(
            activity.deadline(&LIMITS),
            Some((after(35), Overdue::Total))
        );
        activity.wrote(true);
        assert_eq!(due(&activity), Some(Overdue::Answer), "in 30 seconds");
    }
}
