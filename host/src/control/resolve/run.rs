//! One plugin, from its uses to instances of one image.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::refused::Unusable;
use super::{Resolved, Run, Trigger};
use crate::config::ready::PluginUse;
use crate::config::without_secrets;
use crate::control::folder::Candidate;
use crate::control::select;
use crate::plugin::fit::Fit;
use crate::plugin::image::{Digest, Image};
use crate::plugin::refusal::Reason;

/// Where the instances of some uses come from.
pub(super) enum Origin {
    /// A file of the folder.
    File(Arc<Fit>),
    /// No file is admitted any more, but an image that is loaded.
    Loaded(Arc<Image>),
}

impl Run<'_> {
    /// Resolves the uses of one plugin.
    pub(super) async fn plugin(
        &mut self,
        plugin: &str,
        members: &[usize],
    ) -> Vec<(usize, Resolved)> {
        let mut done = Vec::new();
        let mut groups: BTreeMap<Digest, (Arc<Fit>, Vec<usize>)> = BTreeMap::new();
        let mut left: Vec<usize> = members.to_vec();
        let mut tried: HashSet<Digest> = HashSet::new();
        // Ends: every turn either places a use or takes a file out of the choice.
        while !left.is_empty() {
            groups.clear();
            let candidates: Vec<Candidate> = self
                .folder
                .candidates(plugin)
                .into_iter()
                .filter(|candidate| !tried.contains(&candidate.fit.digest()))
                .collect();
            for index in std::mem::take(&mut left) {
                match self.choose(index, &candidates) {
                    Some(fit) => groups
                        .entry(fit.digest())
                        .or_insert_with(|| (fit, Vec::new()))
                        .1
                        .push(index),
                    None => done.push((index, self.without_file(index).await)),
                }
            }
            for (digest, (fit, indices)) in &groups {
                match self.instances(Origin::File(Arc::clone(fit)), indices).await {
                    Ok(instances) => done.extend(instances),
                    Err(Unusable::File(refusal)) => {
                        tracing::warn!(target: "control", step = ?refusal.step, "plugin file refused: {refusal}");
                        tried.insert(*digest);
                        self.folder.refuse(*digest, &refusal);
                        left.extend(indices);
                    }
                    Err(Unusable::Uses(problems)) => {
                        done.extend(self.unusable(fit, indices, problems));
                    }
                }
            }
        }
        done
    }

    pub(super) fn choose(&self, index: usize, candidates: &[Candidate]) -> Option<Arc<Fit>> {
        let use_ = self.all.get(index)?;
        let listed = candidates.iter().map(|candidate| {
            let version = candidate.fit.inspected.descriptor.version.clone();
            (Arc::clone(&candidate.fit), version, candidate.order)
        });
        select::best(listed, &use_.version)
    }

    /// Instances of one image for some uses; all of them, or none.
    pub(super) async fn instances(
        &mut self,
        origin: Origin,
        indices: &[usize],
    ) -> Result<Vec<(usize, Resolved)>, Unusable> {
        let image = match &origin {
            Origin::File(fit) => {
                self.preflight(fit, indices).await?;
                if self.trigger == Trigger::Check {
                    return Ok(indices
                        .iter()
                        .map(|index| (*index, only_checked()))
                        .collect());
                }
                self.activate(fit, indices).await?
            }
            Origin::Loaded(image) => {
                // Its file is gone, but the private copy is there: no configuration serves untried.
                if let Some(fit) = self.catalog.fit_of(image) {
                    self.preflight(&fit, indices).await?;
                }
                Arc::clone(image)
            }
        };
        let mut made = Vec::new();
        for index in indices {
            let instance = self.instance(&image, indices, *index).await?;
            made.push((*index, Ok(instance)));
        }
        Ok(made)
    }

    pub(super) async fn activate(
        &mut self,
        fit: &Arc<Fit>,
        indices: &[usize],
    ) -> Result<Arc<Image>, Unusable> {
        let refusal = match self.catalog.activate(fit).await {
            Ok(image) => return Ok(image),
            Err(refusal) => refusal,
        };
        match &*refusal.reason {
            // Nothing is wrong with the file, and an older one would not do in its place.
            Reason::TooManyImages { .. } | Reason::OneImageOnly { .. } | Reason::ShuttingDown => {
                Err(self.all_refused(indices, &refusal))
            }
            _ => {
                let members = self.members(indices);
                Err(Unusable::File(
                    refusal.hiding(|text| without_secrets(&members, text)),
                ))
            }
        }
    }

    pub(super) fn members(&self, indices: &[usize]) -> Vec<&PluginUse> {
        let members = indices.iter().filter_map(|index| self.all.get(*index));
        members.copied().collect()
    }

    pub(super) async fn preflight(
        &mut self,
        fit: &Arc<Fit>,
        indices: &[usize],
    ) -> Result<(), Unusable> {
        let indices: Vec<usize> = indices
            .iter()
            .copied()
            .filter(|index| {
                let use_ = self.all.get(*index);
                use_.is_some_and(|use_| !self.catalog.is_alive(fit, use_.config.reveal()))
            })
            .collect();
        if indices.is_empty() {
            return Ok(());
        }
        let all = self.all;
        let members: Vec<&PluginUse> = indices
            .iter()
            .filter_map(|index| all.get(*index))
            .copied()
            .collect();
        let configs: Vec<&str> = members.iter().map(|use_| use_.config.reveal()).collect();
        let verdict = self
            .catalog
            .preflight(fit, &configs, |text| without_secrets(&members, text))
            .await
            .map_err(Unusable::File)?;
        for note in &verdict.report.notes {
            tracing::debug!(target: "control", plugin = %fit.inspected.descriptor.id, "preflight: {note}");
        }
        let refused = verdict.configs.iter().filter_map(|one| one.as_ref().err());
        self.passing |= refused.clone().any(|refusal| self.may_pass(refusal));
        let problems = self.problems(&verdict, &indices);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Unusable::Uses(problems))
        }
    }
}

/// A check makes no instance, and nobody asks what its uses got.
fn only_checked() -> Resolved {
    Err("it was only checked".to_owned())
}
