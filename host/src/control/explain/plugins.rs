//! Which plugins run, in which order, and by which attachment.

use super::document::{Overridden, PhaseRuns, Plugins, Runs, Unavailable};
use crate::chain;
use crate::config::ready::{Config, PluginUse};
use crate::context::{PHASES, Phase};
use crate::control::assemble::merged;
use crate::control::resolve::Resolved;

/// What a use got, as plain data: an explanation keeps no instance from ending.
#[derive(Debug, Clone)]
pub enum Got {
    /// It runs.
    Runs {
        /// Version of the plugin.
        version: String,
        /// What the plugin asks for.
        priority: i32,
        /// The phases it has hooks for.
        phases: Vec<Phase>,
    },
    /// It is not there, and why.
    Missing(String),
    /// Nobody looked.
    Unknown,
}

impl From<&Resolved> for Got {
    fn from(resolved: &Resolved) -> Self {
        match resolved {
            Ok(instance) => Self::Runs {
                version: instance.identity().version.clone(),
                priority: instance.priority(),
                phases: PHASES
                    .into_iter()
                    .filter(|phase| instance.bound().has(*phase))
                    .collect(),
            },
            Err(reason) => Self::Missing(reason.clone()),
        }
    }
}

/// How a plugin is attached that runs for every request.
pub(super) const GLOBAL: &str = "global";

/// A use and what it got.
type Attached<'a> = (&'a PluginUse, &'a Got);

/// What is attached in which way.
pub(super) struct Attachments<'a> {
    global: Vec<Attached<'a>>,
    services: Vec<Vec<Attached<'a>>>,
    routes: Vec<Vec<Attached<'a>>>,
}

/// What is left of some ways when the narrower ones have won.
struct Merged<'a> {
    /// In the order in which they run.
    runs: Vec<(Runs, &'a Got)>,
    overridden: Vec<Overridden>,
}

impl<'a> Attachments<'a> {
    /// `got` has one entry for each use, in the order of [`super::super::resolve::uses`].
    pub(super) fn new(config: &'a Config, got: &'a [Got]) -> Self {
        let mut left = got.iter();
        let mut attached = |list: &'a [PluginUse]| list.iter().zip(left.by_ref()).collect();
        Self {
            global: attached(&config.plugins),
            services: config
                .services
                .iter()
                .map(|one| attached(&one.plugins))
                .collect(),
            routes: config
                .routes
                .iter()
                .map(|one| attached(&one.plugins))
                .collect(),
        }
    }

    /// What runs for a route, or where none matches.
    pub(super) fn plugins(&self, config: &Config, route: Option<usize>) -> Plugins {
        let global = [(GLOBAL.to_owned(), &self.global[..])];
        let everywhere = merge(&global);
        let mut ways = Vec::new();
        if let Some((index, route)) = route.and_then(|at| Some((at, config.routes.get(at)?))) {
            let own = self.routes.get(index).map_or(&[][..], Vec::as_slice);
            ways.push((format!("route {}", route.name), own));
            let service = route
                .service()
                .and_then(|at| Some((at, config.services.get(at)?)));
            if let Some((at, service)) = service {
                let of = self.services.get(at).map_or(&[][..], Vec::as_slice);
                ways.push((format!("service {}", service.name), of));
            }
        }
        ways.extend(global);
        let here = merge(&ways);
        let known = here
            .runs
            .iter()
            .all(|(_, got)| !matches!(got, Got::Unknown));
        let lines = |merged: &Merged<'_>, phase| -> Vec<Runs> {
            let takes_part = merged.runs.iter().filter(|(_, got)| runs_in(got, phase));
            takes_part.map(|(line, _)| line.clone()).collect()
        };
        // Events come to whoever waits: no chain walks through them.
        let walked = PHASES
            .into_iter()
            .filter(|phase| known && phase.is_walked());
        let phases = walked.map(|phase| PhaseRuns {
            phase: phase.name().to_owned(),
            runs: match phase {
                // Before routing nobody knows the route.
                Phase::Rewrite => lines(&everywhere, phase),
                Phase::RequestEnd => {
                    let mut runs = lines(&here, phase);
                    runs.extend(ends_after_rewrite(&everywhere, &here));
                    runs
                }
                _ => lines(&here, phase),
            },
        });
        let attached = here.runs.iter().filter(|_| !known);
        Plugins {
            phases: phases.collect(),
            attached: attached.map(|(line, _)| line.clone()).collect(),
            unavailable: missing(&everywhere, &here),
            overridden: here.overridden,
        }
    }
}

/// Global instances that ran in `rewrite` hear of the end although the route has its own use of the plugin.
fn ends_after_rewrite(everywhere: &Merged<'_>, here: &Merged<'_>) -> Vec<Runs> {
    let elsewhere = |line: &Runs| {
        let mut here = here.runs.iter();
        !here.any(|(own, _)| own.plugin == line.plugin && own.from == line.from)
    };
    let both = |got: &Got| runs_in(got, Phase::Rewrite) && runs_in(got, Phase::RequestEnd);
    let ends = everywhere
        .runs
        .iter()
        .filter(|(line, got)| both(got) && elsewhere(line));
    ends.map(|(line, _)| line.clone()).collect()
}

fn runs_in(got: &Got, phase: Phase) -> bool {
    matches!(got, Got::Runs { phases, .. } if phases.contains(&phase))
}

/// What is missing here. A missing global plugin is missing even where a narrower use takes its place: nothing is served
/// before its `rewrite` could have its say.
fn missing(everywhere: &Merged<'_>, here: &Merged<'_>) -> Vec<Unavailable> {
    let of = |merged: &Merged<'_>| -> Vec<Unavailable> {
        merged.runs.iter().filter_map(unavailable).collect()
    };
    let mut missing = of(everywhere);
    missing.extend(of(here).into_iter().filter(|one| one.from != GLOBAL));
    missing
}

fn unavailable((line, got): &(Runs, &Got)) -> Option<Unavailable> {
    let Got::Missing(reason) = got else {
        return None;
    };
    Some(Unavailable {
        plugin: line.plugin.clone(),
        from: line.from.clone(),
        reason: reason.clone(),
    })
}

/// Merges ways, the narrowest first, as a snapshot does.
fn merge<'a>(ways: &[(String, &[Attached<'a>])]) -> Merged<'a> {
    let lists: Vec<&[Attached<'a>]> = ways.iter().map(|(_, list)| *list).collect();
    let name = |way: usize| {
        ways.get(way)
            .map(|(name, _)| name.clone())
            .unwrap_or_default()
    };
    let mut result = Merged {
        runs: Vec::new(),
        overridden: Vec::new(),
    };
    for (way, &(use_, got), narrower) in merged(&lists) {
        match narrower {
            Some(by) => result.overridden.push(Overridden {
                plugin: use_.name.to_string(),
                from: name(way),
                by: name(by),
            }),
            None => result.runs.push((line(use_, got, name(way)), got)),
        }
    }
    result.runs.sort_by(|(left, _), (right, _)| {
        // Without a priority there is no order to tell; what says nothing stands last, and that is said.
        let key = |line: &Runs| line.priority.unwrap_or(i32::MIN);
        chain::order((key(left), &left.plugin), (key(right), &right.plugin))
    });
    result
}

fn line(use_: &PluginUse, got: &Got, from: String) -> Runs {
    let (version, own) = match got {
        Got::Runs {
            version, priority, ..
        } => (version.clone(), Some(*priority)),
        Got::Missing(_) | Got::Unknown => (use_.version.to_string(), None),
    };
    Runs {
        plugin: use_.name.to_string(),
        version,
        priority: use_.priority.or(own),
        from,
    }
}
