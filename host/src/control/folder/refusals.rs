//! Files that are not taken, and what is said of them.

use super::Folder;
use super::known::Seen;
use crate::counted::Metrics;
use crate::plugin::refusal::Refusal;

impl Folder {
    /// Every file that is not taken, and why.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        let restless = self
            .moving
            .values()
            .filter_map(|moving| moving.restless.as_ref());
        let quiet = self.known.iter().filter(|(path, _)| {
            self.moving
                .get(*path)
                .is_none_or(|one| one.restless.is_none())
        });
        let seen = quiet.filter_map(|(_, known)| match &known.seen {
            Seen::Refused(refusal) | Seen::Held(_, refusal) => Some(refusal),
            Seen::Fit(_) => None,
        });
        self.outside.iter().chain(restless).chain(seen)
    }

    /// The refusals of files that are a plugin, or by their names may be.
    pub fn refusals_of(&self, plugin: &str) -> Vec<&Refusal> {
        let stem = plugin.replace('-', "_");
        let mut found: Vec<&Refusal> = self
            .refusals()
            .filter(|refusal| refusal.file.contains(&stem) || refusal.file.contains(plugin))
            .collect();
        for known in self.known.values() {
            if let Seen::Refused(refusal) | Seen::Held(_, refusal) = &known.seen
                && known.plugin.as_deref() == Some(plugin)
                && !found.contains(&refusal)
            {
                found.push(refusal);
            }
        }
        found
    }

    /// What the folder holds that is no file to open; each is said once.
    pub(super) fn say_outside(&mut self, refused: Vec<Refusal>) {
        for refusal in &refused {
            if !self.outside.contains(refusal) {
                say(refusal, &self.metrics);
            }
        }
        self.outside = refused;
    }
}

/// Says and counts a file that is not taken.
pub(super) fn say(refusal: &Refusal, metrics: &Metrics) {
    tracing::warn!(target: "control", step = ?refusal.step, "plugin file refused: {refusal}");
    metrics.events.refused(refusal.reason.name());
}
