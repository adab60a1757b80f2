//! From the uses of a configuration to instances.
//!
//! Each plugin is resolved as a whole: either every use that selects a file gets an instance of it, or none does. What
//! happens when a file or a configuration is refused depends on what is being done, and only [`Trigger`] knows:
//!
//! | | file unfit | configuration does not fit | plugin not there |
//! |---|---|---|---|
//! | start | next file | schema: the start fails; `configure`: the route answers 503 | 503 |
//! | start after a crash | next file | the route answers 503 | 503 |
//! | reload | next file | the reload is refused | the reload is refused |
//! | check | next file | an error | an error |
//! | folder | next file | the instances of before stay | the instances of before stay |
//!
//! A reload is refused only for uses that are new or changed. Others keep the instances of before as they would when
//! the folder changed, or go on without one if they had none: a version that does not fit them, or a file in quarantine,
//! must not block changes that have nothing to do with it.
//!
//! - `run`: one plugin, from its uses to instances of one image;
//! - `refused`: what becomes of uses whose file or configuration is refused;
//! - `succession`: a new instance and the one whose place it takes;
//! - `missing`: what becomes of uses for which there is no file.

mod missing;
mod refused;
mod run;
mod succession;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use semver::VersionReq;

use super::folder::Folder;
use crate::config::ConfigError;
use crate::config::ready::{Config, PluginUse};
use crate::plugin::catalog::Catalog;
use crate::plugin::instance::Instance;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The first snapshot.
    Start,
    /// The first snapshot of a process that follows one which crashed. Nobody asked for it, so nothing ends it.
    Again,
    /// A configuration that may differ.
    Reload,
    /// The same configuration, another folder.
    Folder,
    /// The same configuration and the same folder; files of certificates have changed.
    Files,
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
        ways: succession::ways(config),
        trigger,
        alive: Alive::of(before, folder),
        made: Vec::new(),
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
    /// Where each of them is attached.
    ways: Vec<Way<'a>>,
    trigger: Trigger,
    alive: Alive<'a>,
    /// What uses of this run got so far; some share one.
    made: Vec<Arc<Instance>>,
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
    /// With the use each belongs to, and where that is attached.
    places: Vec<(Way<'a>, &'a PluginUse, &'a Arc<Instance>)>,
    /// By what was asked for.
    asked: HashMap<Asked<'a>, &'a Arc<Instance>>,
    /// Uses that had nothing that may serve, and where they are attached.
    without: Vec<(Way<'a>, &'a PluginUse)>,
}

/// Where a use is attached. A plugin is attached there once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    Global,
    Service(&'a str),
    Route(&'a str),
}

/// What a use asks for: plugin, version, configuration.
type Asked<'a> = (&'a str, &'a VersionReq, &'a str);

fn asked(use_: &PluginUse) -> Asked<'_> {
    (&use_.name, &use_.version, use_.config.reveal())
}

impl<'a> Alive<'a> {
    fn of(before: Option<Before<'a>>, folder: &Folder) -> Self {
        let mut alive = Self::default();
        let Some(Before { config, resolved }) = before else {
            return alive;
        };
        let ways = succession::ways(config);
        for ((use_, resolved), way) in uses(config).zip(resolved).zip(ways) {
            let Ok(instance) = resolved else {
                alive.without.push((way, use_));
                continue;
            };
            alive.places.push((way, use_, instance));
            // What is in quarantine hands its state on, and serves no more.
            if folder.holds(&instance.identity().digest) {
                alive.without.push((way, use_));
                continue;
            }
            alive.all.push((&*use_.place.key, instance));
            alive.asked.insert(asked(use_), instance);
        }
        alive
    }
}
