//! Tries a plugin in a throw-away child before it comes near the serving process.
//!
//! The gateway starts itself again, with limits and without its environment, and hands over the plugin and every
//! configuration in use. A file that crashes or hangs costs a refusal; a configuration that does so costs only itself:
//! the child is started again with the rest.

pub mod child;
pub(super) mod exchange;
mod handover;
mod process;
mod protocol;
pub mod schema;
mod verdicts;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::plugin::config_hash::ConfigHash;
use crate::plugin::fit::Fit;
use crate::plugin::refusal::{Reason, Refusal, Step};

use process::End;
pub use protocol::Report;
pub use verdicts::Verdicts;

/// How children are started.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The gateway's own executable.
    pub exe: PathBuf,
    /// What makes it a child.
    pub args: Vec<OsString>,
    /// How long one step of a child may take.
    pub timeout: Duration,
}

/// What became of a plugin and its configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the plugin turned out to be.
    pub report: Report,
    /// For each configuration, in the order given: why it cannot be used.
    pub configs: Vec<Result<(), Refusal>>,
}

impl Verdict {
    /// The same with every text of the plugin passed through `hide`.
    pub(super) fn hiding(mut self, hide: impl Fn(&str) -> String) -> Self {
        for note in &mut self.report.notes {
            *note = hide(note);
        }
        let hidden = self.configs.into_iter();
        self.configs = hidden
            .map(|outcome| outcome.map_err(|refusal| refusal.hiding(&hide)))
            .collect();
        self
    }
}

impl Preflight {
    /// Starts `exe` with the hidden command `preflight`.
    #[must_use]
    pub fn new(exe: &Path, timeout: Duration) -> Self {
        Self {
            exe: exe.to_owned(),
            args: vec![OsString::from("preflight")],
            timeout,
        }
    }

    /// Tries `fit` with every configuration that `verdicts` does not know to have passed before.
    ///
    /// # Errors
    /// The file is unfit, or the child could not be run. A configuration that is unfit is no error of the file: it is
    /// told in the verdict.
    pub async fn run(
        &self,
        fit: &Fit,
        configs: &[&str],
        verdicts: &Verdicts,
    ) -> Result<Verdict, Refusal> {
        let hash = |config: &str| ConfigHash::of(fit.digest(), config);
        let known = verdicts.find(fit);
        let is_new = |config: &&str| {
            let known = known.as_ref();
            !known.is_some_and(|known| known.passed(hash(config)))
        };
        let new: Vec<&str> = configs.iter().copied().filter(is_new).collect();
        if let Some(known) = known.as_ref().filter(|_| new.is_empty()) {
            return Ok(Verdict {
                report: known.report.clone(),
                configs: configs.iter().map(|_| Ok(())).collect(),
            });
        }
        let tried = self.every(fit, &new).await?;
        let good = new.iter().zip(&tried.configs);
        let good = good.filter(|(_, outcome)| outcome.is_ok());
        verdicts.keep(fit, &tried.report, good.map(|(config, _)| hash(config)));
        let mut outcomes = tried.configs.into_iter();
        let mut outcome = |config: &&str| {
            let tried = is_new(config).then(|| outcomes.next()).flatten();
            tried.unwrap_or(Ok(()))
        };
        Ok(Verdict {
            report: tried.report,
            configs: configs.iter().map(&mut outcome).collect(),
        })
    }

    /// Runs children until every configuration was tried: one that kills a child is left out of the next.
    async fn every(&self, fit: &Fit, configs: &[&str]) -> Result<Verdict, Refusal> {
        let refuse = |reason| fit.refuse(Step::Preflight, reason);
        let mut outcomes: Vec<Option<Result<(), Refusal>>> = vec![None; configs.len()];
        loop {
            let left: Vec<usize> = (0..configs.len())
                .filter(|index| outcomes.get(*index).is_some_and(Option::is_none))
                .collect();
            let texts = left
                .iter()
                .filter_map(|index| configs.get(*index))
                .map(|config| (*config).to_owned())
                .collect();
            let run = self.child(fit, texts).await.map_err(refuse)?;
            let mut set = |index: usize, outcome: Option<Reason>| {
                let place = left.get(index).and_then(|index| outcomes.get_mut(*index));
                if let Some(place) = place {
                    *place = Some(
                        outcome.map_or(Ok(()), |reason| Err(fit.refuse(Step::Configure, reason))),
                    );
                }
            };
            for (index, refused) in run.configs {
                set(index, refused);
            }
            match (run.end, run.at.config) {
                (End::Done(report), _) => {
                    return Ok(Verdict {
                        report,
                        configs: outcomes
                            .into_iter()
                            .map(|outcome| outcome.unwrap_or(Ok(())))
                            .collect(),
                    });
                }
                (End::Died(reason), Some(index)) if index < left.len() => set(index, Some(reason)),
                (End::Died(reason) | End::Refused(reason), _) => return Err(refuse(reason)),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
