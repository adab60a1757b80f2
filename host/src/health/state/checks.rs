//! What checks say of a target: it is down after so many bad ones in a row, and back after so many good ones.

use super::{LastCheck, State, Turn};
use crate::config::ready::ActiveHealth;

/// Checks say that a target is down.
#[derive(Debug)]
pub(super) struct Down {
    pub(super) since: u64,
    pub(super) reason: String,
}

impl State {
    /// A check came to its end. Where it brings it back from an ejection, what it has to its credit then; see
    /// [`Self::returns`].
    pub(in crate::health) fn checked(
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

    /// Other checks begin: those of before count for nothing in a row with them. What they found stays until these know better.
    pub(in crate::health) fn begin_checks(&mut self) {
        (self.good, self.bad) = (0, 0);
    }

    /// Nobody checks it any more.
    pub(in crate::health) fn forget_checks(&mut self) -> Option<Turn> {
        (self.good, self.bad, self.last) = (0, 0, None);
        let down = self.down.take();
        down.map(|_| Turn::Back("it is not checked any more".to_owned()))
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
}
