//! Why a target is out of rotation, and when it comes back. Pure: the time comes in as an argument.

mod checks;
mod ejections;

use std::time::Duration;

use self::checks::Down;
use self::ejections::{Before, Ejection};

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

    /// Whether it left the configuration.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.is_some()
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
mod tests;
