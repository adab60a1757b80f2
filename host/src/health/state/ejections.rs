//! What requests say of a target: it is ejected for a while, each time for longer if it was not well in between.

use std::time::Duration;

use super::{State, Turn};
use crate::config::ready::PassiveHealth;
use crate::health::clock::millis;
use crate::health::outcome::Fault;
use crate::health::upstream::Place;

/// Requests said that a target is not to be used.
#[derive(Debug)]
pub(super) struct Ejection {
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) reason: String,
    /// Failures that are forgiven once it is back; the next one ejects it again.
    pub(super) forgiven: u32,
    /// Whether it was gone, as requests met it or a check did; then checks may bring it back before the time. Otherwise they
    /// may be good all the time, and say nothing about what requests met.
    pub(super) gone: bool,
    /// Of those that the upstream may have ejected.
    _place: Place,
}

/// An ejection that is over, or will be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// How often in a row it was ejected again soon.
    times: u32,
    lasted: u64,
    pub(super) returned: u64,
}

impl State {
    /// Requests failed one after the other.
    pub(in crate::health) fn eject(
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
    pub(in crate::health) fn returns(&mut self, now: u64) -> Option<(Turn, u32)> {
        let ejection = self.ejection.take_if(|one| one.until <= now)?;
        self.came_back(now);
        let time = Duration::from_millis(now.saturating_sub(ejection.since));
        let turn = Turn::Back(format!("it was ejected for {time:?}"));
        Some((turn, ejection.forgiven))
    }

    /// When to look again whether it returns.
    pub(in crate::health) fn returns_at(&self) -> Option<u64> {
        self.ejection.as_ref().map(|one| one.until)
    }

    /// Whether it is ejected.
    pub(in crate::health) fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// It is judged by its requests. Gives back whether it begins anew with that.
    pub(in crate::health) fn judge(&mut self) -> bool {
        std::mem::take(&mut self.unjudged)
    }

    /// Whether it is not judged by its requests.
    pub(in crate::health) fn is_unjudged(&self) -> bool {
        self.unjudged
    }

    /// Nobody ejects it any more.
    pub(in crate::health) fn forget_requests(&mut self) -> Option<Turn> {
        self.unjudged = true;
        self.before = None;
        let ejection = self.ejection.take();
        ejection.map(|_| Turn::Back("targets are not ejected any more".to_owned()))
    }

    pub(super) fn came_back(&mut self, now: u64) {
        if let Some(before) = &mut self.before {
            before.returned = now;
        }
    }
}
