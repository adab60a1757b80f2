//! Why a target is out of rotation, and when it comes back. Pure: the time comes in as an argument.

use std::time::Duration;

use super::clock::millis;
use super::outcome::Fault;
use super::upstream::Place;
use crate::config::ready::{ActiveHealth, PassiveHealth};

/// What is known of a target.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Good checks in a row, and bad ones.
    good: u32,
    bad: u32,
    /// Checks say that it is down.
    down: Option<Down>,
    /// Requests said so.
    ejection: Option<Ejection>,
    /// For how long it was ejected last, and when it came back.
    before: Option<Before>,
    /// When it left the configuration.
    removed: Option<u64>,
    /// Whether what becomes of requests counts for nothing: the configuration says so, whatever exchanges of an older
    /// generation go by.
    unjudged: bool,
    /// The last check.
    pub(super) last: Option<LastCheck>,
}

#[derive(Debug)]
struct Down {
    since: u64,
    reason: String,
}

#[derive(Debug)]
struct Ejection {
    since: u64,
    until: u64,
    reason: String,
    /// Failures that are forgiven once it is back; the next one ejects it again.
    forgiven: u32,
    /// Whether it was gone, as requests met it or a check did; then checks may bring it back before the time. Otherwise they
    /// may be good all the time, and say nothing about what requests met.
    gone: bool,
    /// Of those that the upstream may have ejected.
    _place: Place,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    /// How often in a row it was ejected again soon.
    times: u32,
    lasted: u64,
    returned: u64,
}

/// A check of a target, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// When it came to its end, in milliseconds since the process began.
    pub at_ms: u64,
    /// How long it took.
    pub took: Duration,
    /// What was wrong; none: nothing.
    pub error: Option<String>,
}

/// What came of something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is a reason not to use it.
    Out(String),
    /// A reason is gone, and this is why.
    Back(String),
}

/// Where a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `up`, `down` (checks say so), `ejected` (requests said so) or `draining` (it left the configuration).
    pub state: &'static str,
    /// Why it is not used: every reason.
    pub reason: Option<String>,
    /// Since when, in milliseconds since the process began; none: since it came into rotation.
    pub since_ms: Option<u64>,
    /// Until when it is ejected.
    pub until_ms: Option<u64>,
}

impl State {
    /// Whether nothing speaks against it.
    pub(super) fn is_in(&self) -> bool {
        self.down.is_none() && self.ejection.is_none() && self.removed.is_none()
    }

    /// Whether it is ejected.
    pub(super) fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// Whether it left the configuration.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    /// A check came to its end. Where it brings it back from an ejection, what it has to its credit then; see
    /// [`Self::returns`].
    pub(super) fn checked(
        &mut self,
        settings: &ActiveHealth,
        check: LastCheck,
    ) -> (Vec<Turn>, Option<u32>) {
        let now = check.at_ms;
        let came = match &check.error {
            None => self.good_check(settings, now),
            Some(error) => {
                let turn = self.bad_check(settings, error, now);
                (turn.into_iter().collect(), None)
            }
        };
        self.last = Some(check);
        came
    }

    fn good_check(&mut self, settings: &ActiveHealth, now: u64) -> (Vec<Turn>, Option<u32>) {
        self.bad = 0;
        self.good = self.good.saturating_add(1);
        let mut turns = Vec::new();
        if self.good < settings.healthy {
            return (turns, None);
        }
        let why = match self.good {
            1 => "a check was good".to_owned(),
            more => format!("{more} checks in a row were good"),
        };
        if self.down.take().is_some() {
            turns.push(Turn::Back(why.clone()));
        }
        let ejection = self.ejection.take_if(|one| one.gone);
        let forgiven = ejection.map(|ejection| {
            self.came_back(now);
            turns.push(Turn::Back(why));
            ejection.forgiven
        });
        (turns, forgiven)
    }

    fn bad_check(&mut self, settings: &ActiveHealth, error: &str, now: u64) -> Option<Turn> {
        self.good = 0;
        self.bad = self.bad.saturating_add(1);
        if let Some(ejection) = &mut self.ejection {
            ejection.gone = true;
        }
        if self.bad < settings.unhealthy {
            return None;
        }
        let reason = match self.bad {
            1 => format!("a check failed: {error}"),
            more => format!("{more} checks in a row failed, the last one: {error}"),
        };
        if let Some(down) = &mut self.down {
            down.reason = reason;
            return None;
        }
        self.down = Some(Down {
            since: now,
            reason: reason.clone(),
        });
        Some(Turn::Out(reason))
    }

    /// Requests failed one after the other.
    pub(super) fn eject(
        &mut self,
        settings: &PassiveHealth,
        place: Place,
        (failures, last): (u32, Fault),
        now: u64,
    ) -> Turn {
        // Who has been back for as long as it was away begins anew.
        let soon = |before: &Before| now.saturating_sub(before.returned) < before.lasted;
        let times = self.before.filter(soon).map_or(0, |before| before.times);
        let first = millis(settings.eject);
        let doubled = first.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX));
        let lasts = doubled.min(millis(settings.max_eject));
        let reason = match failures {
            1 => format!("a request failed: {last}"),
            more => format!("{more} requests in a row failed, the last one: {last}"),
        };
        let time = Duration::from_millis(lasts);
        let turn = Turn::Out(format!("ejected for {time:?}: {reason}"));
        // Checks of before say nothing about what happened since.
        self.good = 0;
        self.before = Some(Before {
            times: times.saturating_add(1),
            lasted: lasts,
            returned: now,
        });
        self.ejection = Some(Ejection {
            since: now,
            until: now.saturating_add(lasts),
            reason,
            forgiven: settings.failures.saturating_sub(1),
            gone: last.is_gone(),
            _place: place,
        });
        turn
    }

    /// Looks whether the time of an ejection is over. What it has to its credit then: so many failures less one.
    pub(super) fn returns(&mut self, now: u64) -> Option<(Turn, u32)> {
        let ejection = self.ejection.take_if(|one| one.until <= now)?;
        self.came_back(now);
        let time = Duration::from_millis(now.saturating_sub(ejection.since));
        let turn = Turn::Back(format!("it was ejected for {time:?}"));
        Some((turn, ejection.forgiven))
    }

    fn came_back(&mut self, now: u64) {
        if let Some(before) = &mut self.before {
            before.returned = now;
        }
    }

    /// When to look again whether it returns.
    pub(super) fn returns_at(&self) -> Option<u64> {
        self.ejection.as_ref().map(|one| one.until)
    }

    /// Other checks begin: those of before count for nothing in a row with them. What they found stays until these know better.
    pub(super) fn begin_checks(&mut self) {
        (self.good, self.bad) = (0, 0);
    }

    /// Nobody checks it any more.
    pub(super) fn forget_checks(&mut self) -> Option<Turn> {
        (self.good, self.bad, self.last) = (0, 0, None);
        let down = self.down.take();
        down.map(|_| Turn::Back("it is not checked any more".to_owned()))
    }

    /// It is judged by its requests. Gives back whether it begins anew with that.
    pub(super) fn judge(&mut self) -> bool {
        std::mem::take(&mut self.unjudged)
    }

    /// Whether it is not judged by its requests.
    pub(super) fn is_unjudged(&self) -> bool {
        self.unjudged
    }

    /// Nobody ejects it any more.
    pub(super) fn forget_requests(&mut self) -> Option<Turn> {
        self.unjudged = true;
        self.before = None;
        let ejection = self.ejection.take();
        ejection.map(|_| Turn::Back("targets are not ejected any more".to_owned()))
    }

    /// It left the configuration. What was known of it is forgotten: it is nobody's any more.
    pub(super) fn remove(&mut self, now: u64) {
        *self = Self {
            removed: Some(self.removed.unwrap_or(now)),
            ..Self::default()
        };
    }

    /// It is in the configuration again.
    pub(super) fn come_again(&mut self) -> bool {
        self.removed.take().is_some()
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Standing {
        let down = self.down.as_ref();
        let ejection = self.ejection.as_ref();
        let reasons: Vec<&str> = down
            .map(|down| &*down.reason)
            .into_iter()
            .chain(ejection.map(|ejection| &*ejection.reason))
            .collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        let (state, since_ms, reason) = match (self.removed, down, ejection) {
            (Some(since), ..) => {
                let reason = "it is not in the configuration any more".to_owned();
                ("draining", Some(since), Some(reason))
            }
            (None, Some(down), _) => ("down", Some(down.since), reason),
            (None, None, Some(ejection)) => ("ejected", Some(ejection.since), reason),
            (None, None, None) => ("up", None, None),
        };
        Standing {
            state,
            reason,
            since_ms,
            until_ms: ejection.map(|one| one.until),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::upstream::UpstreamHealth;
    use super::*;
    use crate::config::ready::{HealthCheck, Statuses};

    fn active(healthy: u32, unhealthy: u32) -> ActiveHealth {
        ActiveHealth {
            check: HealthCheck::Tcp,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            jitter: 0,
            healthy,
            unhealthy,
        }
    }

    fn passive(eject: u64, max_eject: u64) -> PassiveHealth {
        PassiveHealth {
            failures: 3,
            statuses: Statuses::default(),
            eject: Duration::from_millis(eject),
            max_eject: Duration::from_millis(max_eject),
            max_ejected: 50,
        }
    }

    fn check(at_ms: u64, error: Option<&str>) -> LastCheck {
        LastCheck {
            at_ms,
            took: Duration::from_millis(1),
            error: error.map(str::to_owned),
        }
    }

    fn eject(state: &mut State, settings: &PassiveHealth, now: u64) {
        let place = Arc::<UpstreamHealth>::default().place(1).expect("a place");
        state.eject(settings, place, (3, Fault::Useless("no answer")), now);
    }

    #[test]
    fn thresholds_count_checks_in_a_row() {
        let settings = active(2, 3);
        let mut state = State::default();
        let results = [
            // Two bad ones do not suffice, and a good one in between begins anew.
            (Some("a"), true),
            (Some("b"), true),
            (None, true),
            (Some("c"), true),
            (Some("d"), true),
            (Some("e"), false),
            (Some("f"), false),
            (None, false),
            (Some("g"), false),
            (None, false),
            (None, true),
        ];
        for (at, (error, is_in)) in (1..).zip(results) {
            state.checked(&settings, check(at, error));
            assert_eq!(state.is_in(), is_in, "after check {at}");
        }
    }

    #[test]
    fn a_fall_is_told_once_and_its_reason_stays_fresh() {
        let settings = active(1, 1);
        let mut state = State::default();
        let out = state.checked(&settings, check(5, Some("refused")));
        assert_eq!(out.0, [Turn::Out("a check failed: refused".to_owned())]);
        assert!(
            state
                .checked(&settings, check(6, Some("late")))
                .0
                .is_empty()
        );
        let standing = state.standing();
        assert_eq!((standing.state, standing.since_ms), ("down", Some(5)));
        assert_eq!(
            standing.reason.as_deref(),
            Some("2 checks in a row failed, the last one: late")
        );
        let back = state.checked(&settings, check(7, None));
        assert_eq!(back.0, [Turn::Back("a check was good".to_owned())]);
        assert!(state.checked(&settings, check(8, None)).0.is_empty());
    }

    #[test]
    fn each_ejection_that_follows_soon_lasts_twice_as_long() {
        let settings = passive(100, 500);
        let mut state = State::default();
        let mut now = 1_000;
        for lasts in [100, 200, 400, 500, 500] {
            eject(&mut state, &settings, now);
            assert_eq!(state.returns_at(), Some(now + lasts));
            assert!(state.returns(now + lasts - 1).is_none());
            let (_, forgiven) = state.returns(now + lasts).expect("its time is over");
            assert_eq!(forgiven, 2, "one more failure ejects it again");
            now += lasts + 1;
        }
        // It was back for as long as it had been away.
        now += 500;
        eject(&mut state, &settings, now);
        assert_eq!(state.returns_at(), Some(now + 100));
    }

    #[test]
    fn doubling_never_overflows() {
        let settings = passive(1_000, u64::MAX);
        let mut state = State::default();
        for _ in 0..100 {
            eject(&mut state, &settings, 0);
            state.ejection = None;
        }
        eject(&mut state, &settings, 0);
        assert_eq!(state.returns_at(), Some(u64::MAX));
    }

    #[test]
    fn checks_bring_back_before_its_time_whom_they_found_dead() {
        let (active, passive) = (active(2, 3), passive(60_000, 60_000));
        let mut state = State::default();
        eject(&mut state, &passive, 1);
        // Checks that are always good say nothing about what requests met.
        for at in 2..10 {
            assert!(state.checked(&active, check(at, None)).0.is_empty());
        }
        assert!(state.is_ejected());
        state.checked(&active, check(10, Some("refused")));
        state.checked(&active, check(11, None));
        assert!(state.is_ejected());
        let (back, forgiven) = state.checked(&active, check(12, None));
        assert_eq!((back.len(), forgiven), (1, Some(2)));
        assert!(state.is_in());
        assert_eq!(state.before.map(|before| before.returned), Some(12));
    }

    #[test]
    fn checks_bring_back_before_its_time_who_was_gone() {
        let (active, passive) = (active(2, 3), passive(60_000, 60_000));
        let mut state = State::default();
        for at in 1..10 {
            state.checked(&active, check(at, None));
        }
        let place = Arc::<UpstreamHealth>::default().place(1).expect("a place");
        let fault = Fault::Gone("it took no connection");
        state.eject(&passive, place, (3, fault), 10);
        state.checked(&active, check(11, None));
        assert!(state.is_ejected(), "only what came after it counts");
        state.checked(&active, check(12, None));
        assert!(state.is_in());
    }

    #[test]
    fn whoever_is_removed_is_forgotten() {
        let settings = active(1, 1);
        let mut state = State::default();
        state.checked(&settings, check(1, Some("refused")));
        eject(&mut state, &passive(100, 100), 2);
        let standing = state.standing();
        assert_eq!(standing.state, "down");
        let reason = standing.reason.expect("there are two");
        assert!(reason.contains("refused; 3 requests"), "{reason}");
        state.remove(7);
        state.remove(9);
        let standing = state.standing();
        assert_eq!((standing.state, standing.since_ms), ("draining", Some(7)));
        assert!(!state.is_in());
        assert!(state.come_again());
        assert!(state.is_in());
    }

    #[test]
    fn settings_that_go_leave_nobody_out() {
        let mut state = State::default();
        state.checked(&active(1, 1), check(1, Some("refused")));
        eject(&mut state, &passive(100, 100), 2);
        assert!(state.forget_checks().is_some());
        assert!(!state.is_in());
        assert!(state.forget_requests().is_some());
        assert!(state.is_in());
        assert!(state.forget_checks().is_none());
    }
}
