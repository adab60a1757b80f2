//! Working folders below `target`: made afresh for every command, so that each starts from the same place.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cargo;
use crate::failure::{Context, Failure, Outcome};

/// A configuration with its plugin folder and its state folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes `target/<name>` anew.
    pub(crate) fn create(name: &str) -> Outcome<Self> {
        let folder = Self {
            root: cargo::target()?.join(name),
        };
        if folder.root.exists() {
            fs::remove_dir_all(&folder.root)
                .context(format_args!("{} cannot be emptied", folder.root.display()))?;
        }
        for path in [folder.root.clone(), folder.plugins(), folder.state()] {
            fs::create_dir_all(&path).context(format_args!("{} cannot be made", path.display()))?;
            // The gateway refuses plugin folders that others may write to, and the mask of this shell may allow that.
            restrict(&path)?;
        }
        Ok(folder)
    }

    /// The watched folder.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("plugins.d")
    }

    /// Where the gateway keeps its images.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file of the folder aside and renames it into place, so that nobody reads half of it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Outcome<PathBuf> {
        let (draft, path) = (self.file("draft"), self.file(name));
        fs::write(&draft, content)
            .context(format_args!("{} cannot be written", draft.display()))?;
        restrict(&draft)?;
        fs::rename(&draft, &path).context(format_args!("{} cannot be written", path.display()))?;
        Ok(path)
    }

    /// Copies the plugin library `name` from the build folder `built` into the watched folder.
    pub(crate) fn install(&self, built: &Path, name: &str) -> Outcome<PathBuf> {
        let from = built.join(name);
        let content = fs::read(&from).map_err(|cause| {
            Failure::new(format!(
                "the plugin {} cannot be read: {cause}; the build should have made it",
                from.display()
            ))
        })?;
        self.write(&format!("plugins.d/{name}"), content)
    }
}

fn restrict(path: &Path) -> Outcome<()> {
    fs::set_permissions(path, Permissions::from_mode(0o755)).context(format_args!(
        "the permissions of {} cannot be set",
        path.display()
    ))
}
