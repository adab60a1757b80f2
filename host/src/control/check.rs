//! What a start would make of a configuration and a folder of plugins, found out without serving.
//!
//! The same steps as a reload's, up to the preflights: plugin code runs in their child processes only, so that a check
//! of a file that crashes is a refusal and not a crash.

use std::path::Path;

use super::apply::settle;
use super::explain::Got;
use super::folder::Folder;
use super::resolve::{Refused, Trigger, resolve, uses};
use super::select;
use crate::config::ready::Config;
use crate::config::{ConfigError, without_secrets};
use crate::context::PHASES;
use crate::ops::services::Services;
use crate::plugin::catalog::{Catalog, Settings};
use crate::plugin::refusal::Refusal;

/// Every use of the configuration has a file that fits it.
#[derive(Debug)]
pub struct Checked {
    /// What each use would get, in their order.
    pub got: Vec<Got>,
    /// Files of the folder that no gateway would take, though nothing depends on them.
    pub refused: Vec<Refusal>,
}

/// Why nothing could be served like that.
#[derive(Debug)]
pub enum Unfit {
    /// The uses that have no file, and the configurations that do not fit theirs.
    Uses {
        /// All of them, in the order of the file.
        errors: Vec<ConfigError>,
        /// Files that are not taken, which may be the reason.
        refused: Vec<Refusal>,
    },
    /// The check itself could not run.
    State(Refusal),
}

/// Checks every use of `config` with the files in `plugins`. Copies go to `scratch`, a private folder that the caller
/// removes; `exe` is the gateway's own executable.
///
/// # Errors
/// Everything that is wrong.
pub async fn check(
    config: &Config,
    plugins: &Path,
    scratch: &Path,
    exe: &Path,
) -> Result<Checked, Unfit> {
    let mut catalog = Catalog::new(Settings {
        state_dir: scratch.to_owned(),
        exe: exe.to_owned(),
        loader: config.loader.clone(),
        workers: config.workers,
        services: Services::new(config),
    })
    .map_err(Unfit::State)?;
    let mut folder = Folder::new(plugins.to_owned(), catalog.metrics());
    settle(&mut folder, &mut catalog, config).await;
    let outcome = resolve(config, Trigger::Check, None, &mut folder, &mut catalog).await;
    let refused = folder.refusals().cloned().collect();
    match outcome {
        Ok(_) => Ok(Checked {
            got: got(config, &folder, &mut catalog).await,
            refused,
        }),
        Err(Refused { mut errors, .. }) => {
            errors.sort_by_key(|error| (error.place.line, error.place.column));
            Err(Unfit::Uses { errors, refused })
        }
    }
}

/// What each use would get, once all are known to get something. The preflights have run; this reads what they said.
async fn got(config: &Config, folder: &Folder, catalog: &mut Catalog) -> Vec<Got> {
    let mut all = Vec::new();
    for use_ in uses(config) {
        let files = folder.candidates(&use_.name).into_iter().map(|candidate| {
            let version = candidate.fit.inspected.descriptor.version.clone();
            (candidate.fit, version, candidate.order)
        });
        let Some(fit) = select::best(files, &use_.version) else {
            all.push(Got::Missing("no file in the folder is admitted".to_owned()));
            continue;
        };
        let hide = |text: &str| without_secrets(&[use_], text);
        let configs = [use_.config.reveal()];
        all.push(match catalog.preflight(&fit, &configs, hide).await {
            Ok(verdict) => Got::Runs {
                version: fit.identity().version,
                priority: verdict.report.priority,
                phases: PHASES
                    .into_iter()
                    .filter(|phase| verdict.report.hooks.iter().any(|hook| hook == phase.name()))
                    .collect(),
            },
            Err(refusal) => Got::Missing(refusal.to_string()),
        });
    }
    all
}
