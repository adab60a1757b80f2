//! A private folder for copies of plugin files, gone when a check is over.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use swapgate::plugin::refusal::{Reason, Refusal, Step};

/// The folder; dropping it removes it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it; a refusal is about the file or folder `about`, whose copies would have lain there.
    pub(crate) fn new(about: &Path) -> Result<Self, Refusal> {
        let path = std::env::temp_dir().join(format!("swapgate-check-{}", std::process::id()));
        // Not recursive: it must not have been there, for somebody else may have made it.
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => {
                let action = format!("make the folder {} for a copy", path.display());
                let error = error.to_string();
                let reason = Reason::Io { action, error };
                Err(Refusal::new(
                    Step::Stage,
                    about.display().to_string(),
                    reason,
                ))
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
