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
//!
//! A reload is refused only for uses that are new or changed. Others keep the instances of before as they would when
//! the folder changed: a version that does not fit them must not block changes that have nothing to do with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use semver::VersionReq;

use super::folder::{Candidate, Folder};
use super::select;
use crate::config::ready::{Config, PluginUse};
use crate::config::{ConfigError, plugin_config_errors, refused_by_plugin, without_secrets};
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
    /// Whether something was not taken for a reason that may pass, so that another attempt makes sense.
    pub passing: bool,
}

/// Why nothing is resolved.
#[derive(Debug)]
pub struct Refused {
    /// Everything that is wrong.
    pub errors: Vec<ConfigError>,
    /// Whether some of it may pass.
    pub passing: bool,
}

/// What serves so far.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What its uses got.
    pub resolved: &'a [Resolved],
}

/// Every use of a configuration, in one order.
pub fn uses(config: &Config) -> impl Iterator<Item = &PluginUse> {
    let services = config.services.iter().flat_map(|service| &service.plugins);
    let routes = config.routes.iter().flat_map(|route| &route.plugins);
    config.plugins.iter().chain(services).chain(routes)
}

/// Resolves all uses. `before` is what serves so far: nothing at a start.
///
/// # Errors
/// At a start, schema errors; at a reload, everything that is wrong.
pub async fn resolve(
    config: &Config,
    trigger: Trigger,
    before: Option<Before<'_>>,
    folder: &mut Folder,
    catalog: &mut Catalog,
) -> Result<Resolution, Refused> {
    let all: Vec<&PluginUse> = uses(config).collect();
    let mut by_plugin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, use_) in all.iter().enumerate() {
        by_plugin.entry(&use_.name).or_default().push(index);
    }
    let mut run = Run {
        all: &all,
        trigger,
        alive: Alive::of(before),
        folder,
        catalog,
        notes: Vec::new(),
        errors: Vec::new(),
        passing: false,
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
        return Err(Refused {
            errors: run.errors,
            passing: run.passing,
        });
    }
    let missing = || Err("it was not resolved; this is a fault of the gateway".to_owned());
    let uses = resolved
        .into_iter()
        .map(|one| one.unwrap_or_else(missing))
        .collect();
    Ok(Resolution {
        uses,
        notes: run.notes,
        passing: run.passing,
    })
}

struct Run<'a> {
    all: &'a [&'a PluginUse],
    trigger: Trigger,
    alive: Alive<'a>,
    folder: &'a mut Folder,
    catalog: &'a mut Catalog,
    notes: Vec<String>,
    errors: Vec<ConfigError>,
    passing: bool,
}

/// The instances of before.
#[derive(Default)]
struct Alive<'a> {
    /// With the key of the use each belongs to.
    all: Vec<(&'a str, &'a Arc<Instance>)>,
    /// By what was asked for.
    asked: HashMap<Asked<'a>, &'a Arc<Instance>>,
}

/// What a use asks for: plugin, version, configuration.
type Asked<'a> = (&'a str, &'a VersionReq, &'a str);

fn asked(use_: &PluginUse) -> Asked<'_> {
    (&use_.name, &use_.version, use_.config.reveal())
}

impl<'a> Alive<'a> {
    fn of(before: Option<Before<'a>>) -> Self {
        let mut alive = Self::default();
        let Some(Before { config, resolved }) = before else {
            return alive;
        };
        for (use_, resolved) in uses(config).zip(resolved) {
            if let Ok(instance) = resolved {
                alive.all.push((&*use_.place.key, instance));
                alive.asked.insert(asked(use_), instance);
            }
        }
        alive
    }
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

    async fn activate(
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

    fn members(&self, indices: &[usize]) -> Vec<&PluginUse> {
        let members = indices.iter().filter_map(|index| self.all.get(*index));
        members.copied().collect()
    }

    async fn preflight(&mut self, fit: &Arc<Fit>, indices: &[usize]) -> Result<(), Unusable> {
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

    fn all_refused(&mut self, indices: &[usize], refusal: &Refusal) -> Unusable {
        self.passing |= self.may_pass(refusal);
        let told = indices.iter().filter_map(|index| {
            let use_ = self.all.get(*index)?;
            Some((*index, config_error(use_, refusal), Severity::Configure))
        });
        Unusable::Uses(told.collect())
    }

    /// Whether another attempt makes sense although nothing changed here. What serves with a gap is tried again whatever
    /// the plugin said, for its reason may lie elsewhere; a reload that waits only where that is known.
    fn may_pass(&self, refusal: &Refusal) -> bool {
        self.trigger != Trigger::Reload || refusal.reason.is_passing()
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
        let is_refused = match self.trigger {
            Trigger::Start => problems
                .iter()
                .any(|(.., severity)| *severity == Severity::Schema),
            Trigger::Reload => indices.iter().any(|index| self.as_before(*index).is_none()),
            Trigger::Check => true,
            Trigger::Folder => false,
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
    fn is_strict(&self) -> bool {
        matches!(self.trigger, Trigger::Reload | Trigger::Check)
    }

    /// What a use had that asks for the same as before.
    fn as_before(&self, index: usize) -> Option<Resolved> {
        let use_ = self.all.get(index).copied()?;
        let instance = self.alive.asked.get(&asked(use_)).copied()?;
        Some(Ok(Arc::clone(instance)))
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
        let errors = match self.loaded_for(use_) {
            None => vec![self.missing(use_)],
            Some(image) => match self.instances(Origin::Loaded(image), &[index]).await {
                Ok(made) => match made.into_iter().next() {
                    Some((_, Ok(fresh))) => {
                        self.note_kept(use_, &fresh);
                        return Ok(fresh);
                    }
                    _ => vec![self.missing(use_)],
                },
                Err(Unusable::File(refusal)) => vec![config_error(use_, &refusal)],
                Err(Unusable::Uses(problems)) => {
                    problems.into_iter().map(|(_, error, _)| error).collect()
                }
            },
        };
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if self.is_strict() {
            self.errors.extend(errors);
        }
        Err(told.join("; "))
    }

    /// An image in use that this use admits: the one it had itself, before those of others.
    fn loaded_for(&self, use_: &PluginUse) -> Option<Arc<Image>> {
        let fits =
            |instance: &Instance| instance.identity().id == *use_.name && admits(use_, instance);
        let all = self.alive.all.iter();
        let mut fitting = all.filter(|(_, instance)| fits(instance));
        let own = fitting.clone().find(|(key, _)| *key == &*use_.place.key);
        let (_, instance) = own.or_else(|| fitting.next())?;
        instance.image().map(Arc::clone)
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
        _ => {
            let text = without_secrets(&[use_], &refusal.to_string());
            ConfigError::new(use_.place.clone(), text)
        }
    }
}
