//! What a start would make of a configuration and a folder of plugins, found out without serving.
//!
//! The same steps as a reload's, up to the preflights: plugin code runs in their child processes only, so that a check
//! of a file that crashes is a refusal and not a crash.

use std::path::Path;

use super::apply::settle;
use super::folder::Folder;
use super::resolve::{Refused, Trigger, resolve};
use crate::config::ConfigError;
use crate::config::ready::Config;
use crate::plugin::catalog::{Catalog, Settings};
use crate::plugin::refusal::Refusal;

/// Every use of the configuration has a file that fits it.
#[derive(Debug)]
pub struct Checked {
    /// How many uses there are.
    pub uses: usize,
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
    })
    .map_err(Unfit::State)?;
    let mut folder = Folder::new(plugins.to_owned());
    settle(&mut folder, &mut catalog, config).await;
    let outcome = resolve(config, Trigger::Check, None, &mut folder, &mut catalog).await;
    let refused = folder.refusals().cloned().collect();
    match outcome {
        Ok(resolution) => Ok(Checked {
            uses: resolution.uses.len(),
            refused,
        }),
        Err(Refused { mut errors, .. }) => {
            errors.sort_by_key(|error| (error.place.line, error.place.column));
            Err(Unfit::Uses { errors, refused })
        }
    }
}
