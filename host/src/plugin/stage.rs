//! Makes the private copy of a plugin file. The operator's file is never opened by the system's loader: it answers by
//! path, so a replaced file would give the old code, and a file overwritten while it is mapped ends the process.

mod permissions;
mod run;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::ready::Permissions;
use crate::plugin::image::Digest;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::scan::FolderEntry;
use crate::settle::{self, FileId};

use permissions::keeps_others_out;
pub use permissions::{admits, admits_folders};
use run::Run;

/// Bytes a plugin file may have. An inspection reads all of it into memory.
pub const SIZE_LIMIT: u64 = 256 << 20;

/// A private copy, read-only, named by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The file as the operator knows it.
    pub shown: Arc<str>,
    /// The copy.
    pub path: PathBuf,
    /// SHA-256 of the copy.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// The state of the operator's file that was copied.
    pub file: FileId,
}

/// The part of the state folder that holds copies.
#[derive(Debug)]
pub struct Stage {
    images: PathBuf,
    /// Tells the copies of this process from those of one that still runs: an old gateway that drains keeps its own.
    run: Run,
}

impl Stage {
    /// Prepares `<state>/images` and removes what earlier runs left there.
    ///
    /// # Errors
    /// The folder cannot be made, or nothing can be loaded from its file system.
    pub fn prepare(state: &Path) -> Result<Self, Refusal> {
        let shown = state.display().to_string();
        let refuse = |reason| Refusal::new(Step::Stage, shown.clone(), reason);
        let (images, runs) = (state.join("images"), state.join("runs"));
        for folder in [&images, &runs] {
            private_folder(folder)
                .map_err(|error| refuse(broken("make the folder for images", &error)))?;
        }
        // What lies in there is run as code.
        for folder in [state, &images, &runs] {
            keeps_others_out(folder).map_err(refuse)?;
        }
        let system = rustix::fs::statvfs(&images)
            .map_err(|error| refuse(broken("look at its file system", &error.into())))?;
        if system
            .f_flag
            .contains(rustix::fs::StatVfsMountFlags::NOEXEC)
        {
            return Err(refuse(Reason::NoExec {
                folder: shown.clone(),
            }));
        }
        let images = images
            .canonicalize()
            .map_err(|error| refuse(broken("find the folder for images", &error)))?;
        let run = Run::begin(&runs)
            .map_err(|error| refuse(broken("make a file in the state folder", &error)))?;
        remove_leftovers(&images, &runs);
        Ok(Self { images, run })
    }

    /// Copies the file of `entry`. The same digest staged again reuses the copy.
    ///
    /// # Errors
    /// The file may not be a plugin, changed meanwhile, or cannot be copied.
    pub fn stage(&self, entry: &FolderEntry, permissions: Permissions) -> Result<Staged, Refusal> {
        let shown: Arc<str> = entry.path.display().to_string().into();
        self.copy(entry, permissions, &shown)
            .map_err(|reason| Refusal::new(Step::Stage, Arc::clone(&shown), reason))
    }

    /// Removes the copy of an image that was unmapped.
    pub fn forget(&self, staged: &Path) {
        let _ = fs::remove_file(staged);
        for folder in staged.ancestors().skip(1).take(2) {
            if folder == self.images || fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    fn copy(
        &self,
        entry: &FolderEntry,
        permissions: Permissions,
        shown: &Arc<str>,
    ) -> Result<Staged, Reason> {
        let mut source = open(&entry.resolved)?;
        let before = metadata(&source)?;
        if !before.is_file() {
            return Err(Reason::NotRegular);
        }
        admits(&before, permissions)?;
        if before.size() > SIZE_LIMIT {
            return Err(Reason::TooLarge {
                bytes: before.size(),
                limit: SIZE_LIMIT,
            });
        }
        come_to_rest(&source, FileId::of(&before))?;
        let aside = self
            .images
            .join(format!("aside-{}-{}", self.run.name(), unique()));
        let written = Aside::write(aside, &mut source, before.size())?;
        // Both the open file and whatever the name leads to now must be what they were: a file written to while it was
        // read gives a copy that nobody ever built.
        let after = FileId::of(&metadata(&source)?);
        let named = fs::symlink_metadata(&entry.resolved).map(|metadata| FileId::of(&metadata));
        let file = FileId::of(&before);
        if after != file || written.bytes != before.size() || named.ok() != Some(file) {
            return Err(Reason::Changing);
        }
        let path = self.place(&written, entry)?;
        Ok(Staged {
            shown: Arc::clone(shown),
            path,
            digest: written.digest,
            bytes: written.bytes,
            file,
        })
    }

    /// Renames a copy to `<sha256>/<run>/<name>`, unless this run has one already. What an earlier run left is never
    /// used: nobody knows what became of it, and so a copy need not survive a loss of power either.
    fn place(&self, written: &Aside, entry: &FolderEntry) -> Result<PathBuf, Reason> {
        let folder = self
            .images
            .join(written.digest.to_string())
            .join(self.run.name());
        if let Some(there) = only_file(&folder) {
            return Ok(there);
        }
        private_folder(&folder).map_err(|error| broken("make the folder of the copy", &error))?;
        let name = entry
            .path
            .file_name()
            .map_or_else(|| OsString::from("plugin.so"), OsString::from);
        let path = folder.join(name);
        fs::rename(&written.path, &path)
            .map_err(|error| broken("rename the copy into place", &error))?;
        Ok(path)
    }
}

fn open(path: &Path) -> Result<File, Reason> {
    // NOFOLLOW: links were resolved and checked before; one that appears now was put there to fool us. NONBLOCK: a
    // pipe must not hold us up.
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => Reason::Changing,
            _ => broken("open it", &error),
        })
}

/// Waits until the file has been quiet for long enough. File times advance in steps of milliseconds, so of a file that
/// was just written to they cannot tell whether it was written to again while it was read.
fn come_to_rest(file: &File, before: FileId) -> Result<(), Reason> {
    let quiet = settle::quiet_for(before, SystemTime::now());
    let Some(left) = settle::wait_for(before, before, quiet) else {
        return Ok(());
    };
    std::thread::sleep(left);
    if FileId::of(&metadata(file)?) == before {
        Ok(())
    } else {
        Err(Reason::Changing)
    }
}

fn metadata(file: &File) -> Result<Metadata, Reason> {
    file.metadata()
        .map_err(|error| broken("look at it", &error))
}

fn broken(action: &str, error: &io::Error) -> Reason {
    Reason::Io {
        action: action.to_owned(),
        error: error.to_string(),
    }
}

/// A copy that is not in its place yet; removed if it never gets there.
struct Aside {
    path: PathBuf,
    digest: Digest,
    bytes: u64,
}

impl Aside {
    fn write(path: PathBuf, source: &mut File, expected: u64) -> Result<Self, Reason> {
        use sha2::Digest as _;
        let mut aside = Self {
            path,
            digest: Digest([0; 32]),
            bytes: 0,
        };
        let mut copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(&aside.path)
            .map_err(|error| broken("write a copy to the state folder", &error))?;
        let mut hasher = sha2::Sha256::new();
        let mut piece = vec![0_u8; 128 << 10];
        // One byte more than expected tells a file that grows, without following it for ever.
        let mut source = source.take(expected.saturating_add(1));
        loop {
            let count = source
                .read(&mut piece)
                .map_err(|error| broken("read it", &error))?;
            let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
            copy.write_all(bytes)
                .map_err(|error| broken("write a copy to the state folder", &error))?;
            aside.bytes += count as u64;
        }
        copy.set_permissions(fs::Permissions::from_mode(0o500))
            .map_err(|error| broken("write a copy to the state folder", &error))?;
        aside.digest = Digest(hasher.finalize().into());
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn only_file(folder: &Path) -> Option<PathBuf> {
    let entry = fs::read_dir(folder).ok()?.find_map(Result::ok)?;
    entry.file_type().ok()?.is_file().then(|| entry.path())
}

/// Removes copies of runs whose process is gone, and the locks of such runs.
fn remove_leftovers(images: &Path, runs: &Path) {
    let children = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    };
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let alive: Vec<String> = children(runs)
        .iter()
        .map(|path| name(path))
        .filter(|run| run::is_alive(runs, run))
        .collect();
    let is_alive = |run: &str| alive.iter().any(|one| one == run);
    for path in children(images) {
        if let Some(rest) = name(&path).strip_prefix("aside-") {
            if !is_alive(rest.split('-').next().unwrap_or_default()) {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        for copy in children(&path) {
            if !is_alive(&name(&copy)) {
                let _ = fs::remove_dir_all(&copy);
            }
        }
        // Fails, as it should, while a copy is left in it.
        let _ = fs::remove_dir(&path);
    }
}

#[cfg(test)]
mod tests;
