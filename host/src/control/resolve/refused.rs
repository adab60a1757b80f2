//! What becomes of uses whose file or configuration is refused.

use std::sync::Arc;

use super::{Resolved, Run, Trigger, asked};
use crate::config::ready::PluginUse;
use crate::config::{ConfigError, plugin_config_errors, refused_by_plugin, without_secrets};
use crate::plugin::fit::Fit;
use crate::plugin::preflight::Verdict;
use crate::plugin::refusal::{Reason, Refusal};

/// Why a file gives its uses no instances.
pub(super) enum Unusable {
    /// The file itself; the next one may do.
    File(Refusal),
    /// What the uses want of it.
    Uses(Vec<(usize, ConfigError, Severity)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Wrong in the file: a start ends with it.
    Schema,
    /// The plugin's word.
    Configure,
}

impl Run<'_> {
    pub(super) fn problems(
        &self,
        verdict: &Verdict,
        indices: &[usize],
    ) -> Vec<(usize, ConfigError, Severity)> {
        let mut problems = Vec::new();
        for (index, outcome) in indices.iter().zip(&verdict.configs) {
            let (Some(use_), Err(refusal)) = (self.all.get(*index), outcome) else {
                continue;
            };
            let places = verdict
                .report
                .schema
                .as_deref()
                .map(|schema| plugin_config_errors(use_, schema));
            match places {
                Some(places) if !places.is_empty() => {
                    problems.extend(
                        places
                            .into_iter()
                            .map(|error| (*index, error, Severity::Schema)),
                    );
                }
                _ => problems.push((*index, config_error(use_, refusal), Severity::Configure)),
            }
        }
        problems
    }

    pub(super) fn all_refused(&mut self, indices: &[usize], refusal: &Refusal) -> Unusable {
        self.passing |= self.may_pass(refusal);
        let told = indices.iter().filter_map(|index| {
            let use_ = self.all.get(*index)?;
            Some((*index, config_error(use_, refusal), Severity::Configure))
        });
        Unusable::Uses(told.collect())
    }

    /// Whether another attempt makes sense although nothing changed here. What serves with a gap is tried again whatever
    /// the plugin said, for its reason may lie elsewhere; a reload that waits only where that is known.
    pub(super) fn may_pass(&self, refusal: &Refusal) -> bool {
        self.trigger != Trigger::Reload || refusal.reason.is_passing()
    }

    /// What the uses get whose file cannot serve one of them.
    pub(super) fn unusable(
        &mut self,
        fit: &Fit,
        indices: &[usize],
        problems: Vec<(usize, ConfigError, Severity)>,
    ) -> Vec<(usize, Resolved)> {
        let descriptor = &fit.inspected.descriptor;
        let label = format!("{}@{}", descriptor.id, descriptor.version);
        let is_refused = match self.trigger {
            Trigger::Start => problems
                .iter()
                .any(|(.., severity)| *severity == Severity::Schema),
            Trigger::Reload => indices
                .iter()
                .any(|index| self.as_before(*index).is_none() && !self.had_nothing(*index)),
            Trigger::Check => true,
            Trigger::Folder | Trigger::Files | Trigger::Again => false,
        };
        if is_refused {
            self.errors
                .extend(problems.into_iter().map(|(_, error, _)| error));
            return Vec::new();
        }
        let told: Vec<String> = problems
            .iter()
            .map(|(_, error, _)| error.to_string())
            .collect();
        let note = format!(
            "{label} in {} is not taken: {}",
            fit.staged.shown,
            told.join("; ")
        );
        self.notes.push(note);
        let reason = |index: usize| {
            let own = problems
                .iter()
                .find(|(at, ..)| *at == index)
                .map(|(_, error, _)| error.to_string());
            own.unwrap_or_else(|| format!("{label} does not fit another use: {}", told.join("; ")))
        };
        indices
            .iter()
            .map(|index| {
                (
                    *index,
                    self.as_before(*index)
                        .unwrap_or_else(|| Err(reason(*index))),
                )
            })
            .collect()
    }

    /// Whether a use that gets nothing is an error and not a route that answers 503.
    pub(super) fn is_strict(&self) -> bool {
        matches!(self.trigger, Trigger::Reload | Trigger::Check)
    }

    /// What a use had that asks for the same as before.
    pub(super) fn as_before(&self, index: usize) -> Option<Resolved> {
        let use_ = self.all.get(index).copied()?;
        let instance = self.alive.asked.get(&asked(use_)).copied()?;
        Some(Ok(Arc::clone(instance)))
    }

    /// Whether an unchanged use had no instance before either, or one of a file that is in quarantine by now. It answers
    /// 503 either way, so it is no reason to refuse a change that has nothing to do with it.
    pub(super) fn had_nothing(&self, index: usize) -> bool {
        let (Some(use_), Some(way)) = (self.all.get(index), self.ways.get(index)) else {
            return false;
        };
        let mut without = self.alive.without.iter();
        without.any(|(at, old)| at == way && asked(old) == asked(use_))
    }
}

/// A refusal, told at the place of a use.
pub(super) fn config_error(use_: &PluginUse, refusal: &Refusal) -> ConfigError {
    match &*refusal.reason {
        Reason::ConfigRefused { text } => refused_by_plugin(use_, text),
        _ => {
            let text = without_secrets(&[use_], &refusal.to_string());
            ConfigError::new(use_.place.clone(), text)
        }
    }
}
