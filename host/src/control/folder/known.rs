//! A file that has come to rest, and whether it is taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::plugin::fit::Fit;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::settle::FileId;

/// How long a refusal that may pass holds.
pub(in crate::control) const RETRY: Duration = Duration::from_secs(60);
/// How long the first one holds where the system had nothing to give; each one after it holds twice as long.
const RETRY_SYSTEM: Duration = Duration::from_secs(2);

pub(super) struct Known {
    pub(super) file: FileId,
    /// Counts up: of two files with the same version the one settled last wins.
    pub(super) order: u64,
    pub(super) seen: Seen,
    /// The plugin it is, if it was fit before it was refused.
    pub(super) plugin: Option<String>,
    /// Since when it is seen like this.
    pub(super) since: Instant,
    /// Whether it is looked at again although it did not change.
    pub(super) again: bool,
    /// How often it was.
    pub(super) chances: u32,
}

impl Known {
    /// How long it stays refused, if that may pass.
    pub(super) fn holds(&self) -> Option<Duration> {
        let Seen::Refused(refusal) = &self.seen else {
            return None;
        };
        let reason = &refusal.reason;
        if reason.is_of_system() {
            let longer = 2_u32.saturating_pow(self.chances);
            return Some(RETRY_SYSTEM.saturating_mul(longer).min(RETRY));
        }
        reason.is_passing().then_some(RETRY)
    }

    /// Whether it is in quarantine, by what is there now.
    pub(super) fn hold(&mut self, held: &BTreeMap<String, String>) {
        let (Seen::Fit(fit) | Seen::Held(fit, _)) = &self.seen else {
            return;
        };
        let fit = Arc::clone(fit);
        let Some(why) = held.get(&fit.digest().to_string()) else {
            self.seen = Seen::Fit(fit);
            return;
        };
        let digest = fit.digest().to_string();
        let reason = Reason::Quarantined {
            why: why.clone(),
            digest: digest.get(..16).unwrap_or_default().to_owned(),
        };
        let refusal = fit.refuse(Step::Stage, reason);
        if matches!(self.seen, Seen::Fit(_)) {
            tracing::warn!(target: "control", "plugin file refused: {refusal}");
        }
        self.plugin = Some(fit.inspected.descriptor.id.clone());
        self.seen = Seen::Held(fit, refusal);
    }
}

pub(super) enum Seen {
    Fit(Arc<Fit>),
    /// Fit, and in quarantine.
    Held(Arc<Fit>, Refusal),
    Refused(Refusal),
}
