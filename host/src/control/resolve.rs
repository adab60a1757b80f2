//! From the uses of a configuration to instances.
//!
//! Each plugin is resolved as a whole: either every use that selects a file gets an instance of it, or none does. What
//! happens when a file or a configuration is refused depends on what is being done, and only [`Trigger`] knows:
//!
//! | | file unfit | configuration does not fit | plugin not there |
//! |---|---|---|---|
//! | start | next file | schema: the start fails; `configure`: the route answers 503 | 503 |
//! | reload | next file | the reload is refused | the reload is refused |
//! | check | next file | an error | an error |
//! | folder | next file | the instances of before stay | the instances of before stay |

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::folder::{Candidate, Folder};
use super::select;
use crate::config::ready::{Config, PluginUse};
use crate::config::{ConfigError, plugin_config_errors, refused_by_plugin};
use crate::plugin::catalog::Catalog;
use crate::plugin::fit::Fit;
use crate::plugin::image::{Digest, Image};
use crate::plugin::instance::Instance;
use crate::plugin::preflight::Verdict;
use crate::plugin::refusal::{Reason, Refusal};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The first snapshot.
    Start,
    /// A configuration that may differ.
    Reload,
    /// The same configuration, another folder.
    Folder,
    /// A configuration that will not serve: files are chosen and tried in children, nothing is loaded here.
    Check,
}

/// What one use got: an instance, or why it has none.
pub type Resolved = Result<Arc<Instance>, String>;

/// What all uses got, in the order of [`uses`].
#[derive(Default)]
pub struct Resolution {
    /// One for each use.
    pub uses: Vec<Resolved>,
    /// What an operator should know: a version that was not taken, an image that serves although its file is gone.
    pub notes: Vec<String>,
}

/// Every use of a configuration, in one order.
pub fn uses(config: &Config) -> impl Iterator<Item = &PluginUse> {
    let services = config.services.iter().flat_map(|service| &service.plugins);
    let routes = config.routes.iter().flat_map(|route| &route.plugins);
    config.plugins.iter().chain(services).chain(routes)
}

/// Resolves all uses. `before` is what the uses of the same configuration had (empty at a start).
///
/// # Errors
/// At a start, schema errors; at a reload, everything that is wrong.
pub async fn resolve(
    config: &Config,
    trigger: Trigger,
    before: &[Resolved],
    folder: &mut Folder,
    catalog: &mut Catalog,
) -> Result<Resolution, Vec<ConfigError>> {
    let all: Vec<&PluginUse> = uses(config).collect();
    let mut by_plugin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, use_) in all.iter().enumerate() {
        by_plugin.entry(&use_.name).or_default().push(index);
    }
    let mut run = Run {
        all: &all,
        trigger,
        before,
        folder,
        catalog,
        notes: Vec::new(),
        errors: Vec::new(),
    };
    let mut resolved: Vec<Option<Resolved>> = Vec::new();
    resolved.resize_with(all.len(), || None);
    for (plugin, members) in by_plugin {
        for (index, got) in run.plugin(plugin, &members).await {
            if let Some(place) = resolved.get_mut(index) {
                *place = Some(got);
            }
        }
    }
    if !run.errors.is_empty() {
        return Err(run.errors);
    }
    let missing = || Err("it was not resolved; this is a fault of the gateway".to_owned());
    let uses = resolved
        .into_iter()
        .map(|one| one.unwrap_or_else(missing))
        .collect();
    Ok(Resolution {
        uses,
        notes: run.notes,
    })
}

struct Run<'a> {
    all: &'a [&'a PluginUse],
    trigger: Trigger,
    before: &'a [Resolved],
    folder: &'a mut Folder,
    catalog: &'a mut Catalog,
    notes: Vec<String>,
    errors: Vec<ConfigError>,
}

/// Where the instances of some uses come from.
enum Origin {
    /// A file of the folder.
    File(Arc<Fit>),
    /// No file is admitted any more, but an image that is loaded.
    Loaded(Arc<Image>),
}

/// Why a file gives its uses no instances.
enum Unusable {
    /// The file itself; the next one may do.
    File(Refusal),
    /// What the uses want of it.
    Uses(Vec<(usize, ConfigError, Severity)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Wrong in the file: a start ends with it.
    Schema,
    /// The plugin's word.
    Configure,
}

impl Run<'_> {
    /// Resolves the uses of one plugin.
    async fn plugin(&mut self, plugin: &str, members: &[usize]) -> Vec<(usize, Resolved)> {
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

    fn choose(&self, index: usize, candidates: &[Candidate]) -> Option<Arc<Fit>> {
        let use_ = self.all.get(index)?;
        let listed = candidates.iter().map(|candidate| {
            let version = candidate.fit.inspected.descriptor.version.clone();
            (Arc::clone(&candidate.fit), version, candidate.order)
        });
        select::best(listed, &use_.version)
    }

    /// Instances of one image for some uses; all of them, or none.
    async fn instances(
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
                match self.catalog.activate(fit).await {
                    Ok(image) => image,
                    Err(refusal) => return Err(self.all_refused(indices, &refusal)),
                }
            }
            Origin::Loaded(image) => Arc::clone(image),
        };
        let mut made = Vec::new();
        for index in indices {
            let Some(use_) = self.all.get(*index) else {
                continue;
            };
            let instance = match self.catalog.configure(&image, use_.config.reveal()).await {
                Ok(instance) => self.catalog.start(&instance).await.map(|()| instance),
                Err(refusal) => Err(refusal),
            };
            match instance {
                Ok(instance) => made.push((*index, Ok(instance))),
                Err(refusal) => return Err(self.all_refused(&[*index], &refusal)),
            }
        }
        Ok(made)
    }

    async fn preflight(&mut self, fit: &Arc<Fit>, indices: &[usize]) -> Result<(), Unusable> {
        let configs: Vec<&str> = indices
            .iter()
            .filter_map(|index| self.all.get(*index))
            .map(|use_| use_.config.reveal())
            .collect();
        let verdict = self
            .catalog
            .preflight(fit, &configs)
            .await
            .map_err(Unusable::File)?;
        for note in &verdict.report.notes {
            tracing::debug!(target: "control", plugin = %fit.inspected.descriptor.id, "preflight: {note}");
        }
        let problems = self.problems(&verdict, indices);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Unusable::Uses(problems))
        }
    }

    fn problems(
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

    fn all_refused(&self, indices: &[usize], refusal: &Refusal) -> Unusable {
        let told = indices.iter().filter_map(|index| {
            let use_ = self.all.get(*index)?;
            Some((*index, config_error(use_, refusal), Severity::Configure))
        });
        Unusable::Uses(told.collect())
    }

    /// What the uses get whose file cannot serve one of them.
    fn unusable(
        &mut self,
        fit: &Fit,
        indices: &[usize],
        problems: Vec<(usize, ConfigError, Severity)>,
    ) -> Vec<(usize, Resolved)> {
        let descriptor = &fit.inspected.descriptor;
        let label = format!("{}@{}", descriptor.id, descriptor.version);
        let fatal = |severity| self.is_strict() || severity == Severity::Schema;
        if self.trigger != Trigger::Folder && problems.iter().any(|(.., severity)| fatal(*severity))
        {
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
    fn is_strict(&self) -> bool {
        matches!(self.trigger, Trigger::Reload | Trigger::Check)
    }

    fn as_before(&self, index: usize) -> Option<Resolved> {
        match (self.trigger, self.before.get(index)) {
            (Trigger::Folder, Some(Ok(instance))) => Some(Ok(Arc::clone(instance))),
            _ => None,
        }
    }

    /// No file of the folder is admitted: what is loaded keeps serving, or there is nothing.
    async fn without_file(&mut self, index: usize) -> Resolved {
        let Some(use_) = self.all.get(index).copied() else {
            return Err("no such use".to_owned());
        };
        if let Some(kept) = self.as_before(index) {
            if let Ok(instance) = &kept {
                self.note_kept(use_, instance);
            }
            return kept;
        }
        if let Some(instance) = self.loaded_for(use_) {
            let image = instance.image().map(Arc::clone);
            if let Some(image) = image
                && let Ok(made) = self.instances(Origin::Loaded(image), &[index]).await
                && let Some((_, Ok(fresh))) = made.into_iter().next()
            {
                self.note_kept(use_, &fresh);
                return Ok(fresh);
            }
        }
        let missing = self.missing(use_);
        if self.is_strict() {
            self.errors.push(missing.clone());
        }
        Err(missing.to_string())
    }

    /// An instance of before whose image this use admits.
    fn loaded_for(&self, use_: &PluginUse) -> Option<Arc<Instance>> {
        let alive = self.before.iter().filter_map(|one| one.as_ref().ok());
        alive
            .filter(|instance| instance.identity().id == *use_.name)
            .find(|instance| admits(use_, instance))
            .cloned()
    }

    fn note_kept(&mut self, use_: &PluginUse, instance: &Instance) {
        let note = format!(
            "{}@{} keeps serving {} although no fit file in {} has that plugin in a version that `{}` admits",
            instance.identity().id,
            instance.identity().version,
            use_.place.key,
            self.folder.path().display(),
            use_.version,
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The sentence about a plugin that is not there, with what the folder has instead.
    fn missing(&self, use_: &PluginUse) -> ConfigError {
        let folder = self.folder.path().display();
        let versions: Vec<String> = self
            .folder
            .candidates(&use_.name)
            .iter()
            .map(|candidate| candidate.fit.inspected.descriptor.version.to_string())
            .collect();
        let stem = use_.name.replace('-', "_");
        let refused: Vec<String> = self
            .folder
            .refusals()
            .filter(|refusal| refusal.file.contains(&stem) || refusal.file.contains(&*use_.name))
            .map(ToString::to_string)
            .collect();
        let problem = if versions.is_empty() {
            format!("the plugin {} is not in {folder}", use_.name)
        } else {
            format!(
                "{folder} has no version of the plugin {} that `{}` admits",
                use_.name, use_.version
            )
        };
        let error = ConfigError::new(use_.place.clone(), problem);
        let advice = match self.trigger {
            Trigger::Check => "put its file there",
            _ => "put its file there; this change is tried again when the folder changes",
        };
        match (versions.is_empty(), refused.is_empty()) {
            (false, _) => error
                .found(format!("version {}", versions.join(", ")))
                .advice(advice),
            (true, false) => error
                .found(format!("a refused file ({})", refused.join("; ")))
                .advice(advice),
            (true, true) => error.advice(advice),
        }
    }
}

/// A check makes no instance, and nobody asks what its uses got.
fn only_checked() -> Resolved {
    Err("it was only checked".to_owned())
}

fn admits(use_: &PluginUse, instance: &Instance) -> bool {
    instance
        .identity()
        .version
        .parse()
        .is_ok_and(|version| select::admitted(&version, &use_.version))
}

fn config_error(use_: &PluginUse, refusal: &Refusal) -> ConfigError {
    match &*refusal.reason {
        Reason::ConfigRefused { text } => refused_by_plugin(use_, text),
        _ => ConfigError::new(use_.place.clone(), refusal.to_string()),
    }
}
