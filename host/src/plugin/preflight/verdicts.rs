//! Remembers what passed, so that a restart is quick.
//!
//! Only success is kept. A refusal, a crash or a time-out may have its cause in the world around the plugin (a file it
//! reads, a slow machine), so it is tried again after a restart. What passed is keyed by the digest, the door, the hash
//! of the configuration and the build of the gateway: another build of the gateway tries everything again.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::protocol::Report;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::fit::Fit;
use crate::plugin::image::{Digest, Door, ImageKey};

/// The verdicts of one build of the gateway: in memory, and in the state folder for the next run.
#[derive(Debug, Default)]
pub struct Verdicts {
    folder: Option<PathBuf>,
    known: Mutex<HashMap<ImageKey, Kept>>,
}

/// What passed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) report: Report,
    configs: BTreeSet<String>,
}

impl Kept {
    /// Whether this configuration passed.
    pub(super) fn passed(&self, config: ConfigHash) -> bool {
        self.configs.contains(&config.to_string())
    }
}

impl Verdicts {
    /// Opens `<state>/verdicts`. `exe` is the gateway's own executable. Where that fails nothing is remembered, which costs
    /// time only.
    #[must_use]
    pub fn open(state: &Path, exe: &Path) -> Self {
        let folder = build_id(exe).and_then(|build| {
            let folder = state.join("verdicts").join(build);
            make(&folder).ok()?;
            Some(folder)
        });
        Self {
            folder,
            known: Mutex::default(),
        }
    }

    /// Removes the verdicts of other builds. That is for a process that serves: until then the one before it may go on, and
    /// remember what it tries.
    pub fn remove_others(&self) {
        let Some(folder) = &self.folder else {
            return;
        };
        let all = folder.parent().and_then(|all| fs::read_dir(all).ok());
        for other in all.into_iter().flatten().flatten() {
            if other.path() != *folder {
                let _ = fs::remove_dir_all(other.path());
            }
        }
    }

    /// Remembers nothing beyond its own life.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Forgets, in memory only, what is known of other files than these.
    pub fn keep_only(&self, present: &[Digest]) {
        self.known().retain(|key, _| present.contains(&key.digest));
    }

    /// What is remembered about a file.
    pub(super) fn find(&self, fit: &Fit) -> Option<Kept> {
        if let Some(kept) = self.known().get(&fit.key()) {
            return Some(kept.clone());
        }
        serde_json::from_slice(&fs::read(self.path(fit)?).ok()?).ok()
    }

    pub(super) fn keep(
        &self,
        fit: &Fit,
        report: &Report,
        configs: impl Iterator<Item = ConfigHash>,
    ) {
        let before = self.find(fit).map(|kept| kept.configs).unwrap_or_default();
        let kept = Kept {
            // The notes hold words of the plugin, which may repeat a secret; what is told once need not be kept.
            report: Report {
                notes: Vec::new(),
                ..report.clone()
            },
            configs: configs
                .map(|config| config.to_string())
                .chain(before)
                .collect(),
        };
        self.known().insert(fit.key(), kept.clone());
        // Without a folder that is all.
        let Some(path) = self.path(fit) else {
            return;
        };
        let written = serde_json::to_vec(&kept)
            .map_err(std::io::Error::other)
            .and_then(|text| {
                // A process of another build that serves as well may have removed the folder.
                path.parent().map_or(Ok(()), make)?;
                let aside = path.with_extension("aside");
                fs::write(&aside, text)?;
                fs::rename(&aside, &path)
            });
        if let Err(error) = written {
            tracing::warn!(%error, "cannot keep the verdict on a plugin; it is tried again after a restart");
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ImageKey, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, fit: &Fit) -> Option<PathBuf> {
        let door = match fit.door {
            Door::C => "c",
            Door::Rust => "rust",
        };
        let folder = self.folder.as_ref()?;
        Some(folder.join(format!("{}-{door}.json", fit.digest())))
    }
}

fn make(folder: &Path) -> std::io::Result<()> {
    let mut maker = fs::DirBuilder::new();
    maker.recursive(true).mode(0o700).create(folder)
}

/// Tells one build of the gateway from another without reading all of it.
fn build_id(exe: &Path) -> Option<String> {
    let file = fs::metadata(exe).ok()?;
    Some(format!(
        "{}-{}-{:x}-{:x}",
        env!("CARGO_PKG_VERSION"),
        file.len(),
        file.mtime(),
        file.mtime_nsec()
    ))
}
