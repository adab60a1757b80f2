//! The way of a file into the catalog: staged, inspected, tried.

use std::sync::Arc;

use super::Catalog;
use super::slot::Slot;
use super::state::State;
use crate::config::ready::Permissions;
use crate::plugin::fit::Fit;
use crate::plugin::preflight::Verdict;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::scan::FolderEntry;
use crate::plugin::stage::Stage;

impl Catalog {
    /// Stages and inspects a file of the folder, away from the control thread's own work.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn admit(&mut self, entry: FolderEntry) -> Result<Arc<Fit>, Refusal> {
        let stage = Arc::clone(&self.stage);
        let permissions = self.loader.permissions;
        let shown = entry.path.display().to_string();
        let fit = self
            .files
            .run(move || admit(&stage, &entry, permissions))
            .await
            .unwrap_or_else(|error| {
                let reason = Reason::Io {
                    action: "copy and inspect it".to_owned(),
                    error,
                };
                Err(Refusal::new(Step::Stage, shown, reason))
            })?;
        Ok(self.know(fit))
    }

    /// Adds a fit file by hand: for tests that force a door.
    pub fn know(&mut self, fit: Fit) -> Arc<Fit> {
        let key = fit.key();
        let fit = Arc::new(fit);
        let slot = self
            .slots
            .entry(key)
            .or_insert_with(|| Arc::new(Slot::new(Arc::clone(&fit), &self.grounds)));
        slot.show_as(&fit);
        self.share();
        fit
    }

    /// Tries a file with every configuration in use, in a child. What plugins say about it passes through `hide`,
    /// which takes secrets out.
    ///
    /// # Errors
    /// The file is unfit. What is wrong with a configuration stands in the verdict.
    pub async fn preflight(
        &mut self,
        fit: &Fit,
        configs: &[&str],
        hide: impl Fn(&str) -> String,
    ) -> Result<Verdict, Refusal> {
        let verdict = self.preflight.run(fit, configs, &self.verdicts).await;
        let verdict = match verdict {
            Ok(verdict) => Ok(verdict.hiding(hide)),
            Err(refusal) => Err(refusal.hiding(hide)),
        };
        if let Some(slot) = self.slots.get(&fit.key()) {
            match &verdict {
                Ok(verdict) => {
                    slot.expect_only_one(verdict.report.one_image_only);
                    slot.advance(State::Preflighted);
                }
                Err(refusal) => slot.refused(refusal),
            }
        }
        verdict
    }
}

fn admit(stage: &Stage, entry: &FolderEntry, permissions: Permissions) -> Result<Fit, Refusal> {
    let staged = stage.stage(entry, permissions)?;
    let path = staged.path.clone();
    Fit::inspect(staged).inspect_err(|_| stage.forget(&path))
}
