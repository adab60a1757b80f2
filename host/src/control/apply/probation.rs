//! Versions that took the place of others a short while ago, and the way from one that went wrong to the one before.

use super::Control;
use super::pending::Tried;
use super::rescan::Looked;
use crate::control::probation::{Probation, Verdict};
use crate::control::resolve::Resolved;
use crate::fault::label::Label;

impl Control {
    /// Whether a version is on probation.
    #[must_use]
    pub fn is_on_probation(&self) -> bool {
        !self.probations.is_empty()
    }

    /// Looks how those on probation do: lets go of what is kept for those that passed, and goes back where one failed.
    pub async fn judge(&mut self) {
        let mut failed = Vec::new();
        for probation in std::mem::take(&mut self.probations) {
            match probation.verdict(&self.config.faults) {
                _ if !probation.serves(&self.resolved) => {}
                Verdict::Waits => self.probations.push(probation),
                Verdict::Passed => {
                    tracing::info!(target: "control", plugin = %probation.label, "plugin {} passed its probation", probation.label);
                }
                Verdict::Failed(count) => failed.push((probation, count)),
            }
        }
        for (probation, count) in failed {
            self.give_back(probation, count).await;
        }
    }

    /// Puts files on probation that take the place of others, but for those that served well before the one that failed.
    pub(super) fn begin_probation(&mut self, uses: &[Resolved], failed: Option<&Probation>) {
        let faults = &self.config.faults;
        if faults.probation.is_zero() || faults.return_after == 0 {
            return;
        }
        let begun = Probation::of_swap(&self.resolved, uses);
        let begun = begun
            .into_iter()
            .filter(|one| !failed.is_some_and(|failed| failed.is_known(one.label)));
        for one in begun {
            // It begins anew: faults of before are not counted twice, and it goes back to where it came from last.
            self.probations
                .retain(|old| old.label.index != one.label.index);
            self.probations.push(one);
        }
    }

    /// Puts a file into quarantine and resolves anew. Where the one before will not do, everything stays as it is.
    async fn give_back(&mut self, probation: Probation, count: u64) {
        let (label, replaced) = (probation.label, &probation.replaced);
        let lasted = probation.lasted();
        let why = format!(
            "{label} had {count} faults within {lasted:.1?} after it had replaced {replaced}"
        );
        self.quarantine
            .returned(&label.to_string(), &label.digest, why.clone());
        let Looked { offer, .. } = self.look(false).await;
        let resolution = self.resolve_anew(None).await;
        match resolution {
            Ok(resolution) if is_as_good(&self.resolved, &resolution.uses) => {
                let next = next(
                    &probation,
                    &probation.successors(&self.resolved, &resolution.uses),
                );
                tracing::error!(target: "control", plugin = %label, "plugin {label} is put into quarantine, {next}: {why}");
                self.catalog.metrics().events.swapped("returned");
                self.tried = Tried::new(offer, resolution.passing);
                self.swap(resolution, Some(&probation)).await;
            }
            _ => {
                tracing::error!(target: "control", plugin = %label, "{why}; but {replaced} cannot serve again, so {label} goes on");
                self.quarantine.take_again(&label.digest);
                self.folder.hold(&self.quarantine.held());
            }
        }
        // Only now: until here the instances of before had to live.
        drop(probation);
    }
}

/// Says who serves in the place of a version that failed. That need not be the one it replaced: the folder may hold
/// another file that fits, which goes on probation itself then.
fn next(probation: &Probation, successors: &[&Label]) -> String {
    let says = |label: &&Label| {
        if probation.is_known(label) {
            format!("{label} serves again")
        } else {
            format!("{label} serves in its place")
        }
    };
    let texts: Vec<String> = successors.iter().map(says).collect();
    texts.join(", ")
}

/// Whether no use loses its instance.
fn is_as_good(before: &[Resolved], after: &[Resolved]) -> bool {
    let mut pairs = before.iter().zip(after);
    before.len() == after.len() && pairs.all(|(old, new)| old.is_err() || new.is_ok())
}
