//! From what the file says to what the gateway uses.
//!
//! ```text
//! text -> yaml (tree with places) -> environment (${env:}, ${file:}) -> structure (schema) -> raw -> validate -> ready
//! ```
//!
//! [`load`] is a function of its arguments and returns *all* errors, sorted by place. [`ready`] holds the types that
//! cannot hold a wrong value; no other room reads the file. [`diff`] says what a reload changes. Plugins bring schemas
//! for their own configurations: [`plugin_config_errors`] tells what does not fit at its place in the file.

pub mod allow;
mod client;
pub mod diff;
mod document;
pub mod ready;

mod entities;
mod environment;
mod error;
mod life;
mod listener;
mod loader;
mod node;
mod plugin;
mod raw;
mod references;
mod resilience;
mod route;
mod scalar;
mod structure;
mod tell;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;
mod validate;
mod value;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use document::Document;
pub use environment::{Environment, Running, System};
pub use error::ConfigError;
pub use plugin::{Origin, plugin_config_errors, plugin_schema, refused_by_plugin, without_secrets};
pub use raw::schema;

use error::sort;
use node::{Spot, place_at};
use ready::Config;
use structure::{Broken, MAX_ERRORS};
use validate::Checker;

/// The text of a configuration file, and where it comes from.
#[derive(Clone)]
pub struct Source {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// What it says: YAML or JSON.
    pub text: String,
    /// The folder of the file, absolute; relative paths start here.
    pub base: PathBuf,
}

impl Source {
    /// A text as if it stood in a file.
    #[must_use]
    pub fn of(path: &Path, text: String) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().map_or_else(PathBuf::new, Path::to_owned);
        let file = path.to_string_lossy().into();
        Self { file, text, base }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file: Arc<str> = path.to_string_lossy().into();
        let limit = u64::try_from(yaml::MAX_TEXT_BYTES).unwrap_or(u64::MAX);
        match environment::read_text(path, limit) {
            Ok(text) => Ok(Self::of(path, text)),
            Err(e) => {
                let start = place_at(&file, Spot { line: 1, column: 1 }, String::new());
                let problem = format!("the configuration file cannot be read, {e}");
                Err(ConfigError::new(start, problem).advice("name a readable YAML or JSON file"))
            }
        }
    }
}

/// Makes a configuration of a text.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn load(source: &Source, environment: &dyn Environment) -> Result<Config, Vec<ConfigError>> {
    let (mut tree, mut errors) = yaml::read(&source.file, &source.text)?;
    let mut broken = Broken::default();
    let filled = environment::fill(
        &mut tree,
        &source.file,
        &source.base,
        environment,
        &mut broken,
    );
    errors.extend(filled);
    let (raw, found) = structure::check(&tree, &source.file, &mut broken);
    errors.extend(found);
    let mut config = None;
    if let Some(raw) = raw {
        let mut check = Checker {
            file: &source.file,
            tree: &tree,
            broken: &broken,
            errors: Vec::new(),
        };
        config = Some(validate::config(
            &mut check,
            &raw,
            &source.base,
            environment.cores(),
        ));
        errors.extend(check.errors);
    }
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => {
            sort(&mut errors);
            errors.truncate(MAX_ERRORS);
            Err(errors)
        }
    }
}
