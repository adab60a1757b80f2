//! Which files lie in the plugins folder, and whether one of them has come to rest. Decides only: the watcher that
//! asks again is part of control.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::ready::Permissions;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::stage;

/// How long a file must have been quiet.
pub const QUIET: Duration = Duration::from_millis(100);

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file.
    pub inode: u64,
    /// Its length.
    pub size: u64,
    /// When its bytes changed last, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// When anything about it changed last, in nanoseconds since 1970.
    pub changed_ns: i128,
}

impl FileId {
    /// The state `metadata` shows.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// One file that may be a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Its path in the folder, as the operator knows it.
    pub path: PathBuf,
    /// Where it really lies; the same unless it is a link.
    pub resolved: PathBuf,
    /// Its state when the folder was scanned.
    pub file: FileId,
}

/// What a scan of the folder found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files that may be plugins, by name.
    pub entries: Vec<FolderEntry>,
    /// Files with the extension of a plugin that are none for reasons visible from outside.
    pub refused: Vec<Refusal>,
}

/// Lists the plugin files of `folder`: those called `*.so` or `*.dylib`. Everything else is ignored, so that a README
/// or a half-written temporary file may lie there.
///
/// # Errors
/// The folder cannot be read.
pub fn scan(folder: &Path, permissions: Permissions) -> io::Result<Scan> {
    let root = folder.canonicalize()?;
    let mut names: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_candidate(path))
        .collect();
    names.sort();
    let mut scan = Scan::default();
    for path in names {
        match look(&path, &root, permissions) {
            Ok(Some(entry)) => scan.entries.push(entry),
            Ok(None) => {}
            Err(reason) => scan.refused.push(Refusal::new(
                Step::Stage,
                path.display().to_string(),
                reason,
            )),
        }
    }
    Ok(scan)
}

/// One file by itself, wherever it lies: for the command line.
///
/// # Errors
/// It is not there, or is no regular file.
pub fn entry(path: &Path) -> Result<FolderEntry, Reason> {
    let broken = |error: io::Error| Reason::Io {
        action: "open it".to_owned(),
        error: error.to_string(),
    };
    let resolved = path.canonicalize().map_err(broken)?;
    let metadata = resolved.symlink_metadata().map_err(broken)?;
    if !metadata.is_file() {
        return Err(Reason::NotRegular);
    }
    Ok(FolderEntry {
        path: path.to_owned(),
        resolved,
        file: FileId::of(&metadata),
    })
}

/// One file as [`scan`] sees it, in a plugins folder that is the folder it lies in: for the command line.
///
/// # Errors
/// It is not there, or a scan would refuse it.
pub fn entry_in_folder(path: &Path, permissions: Permissions) -> Result<FolderEntry, Reason> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let missing = |error: io::Error| Reason::Io {
        action: "open it".to_owned(),
        error: error.to_string(),
    };
    let root = folder.canonicalize().map_err(missing)?;
    look(path, &root, permissions)?.ok_or_else(|| missing(io::ErrorKind::NotFound.into()))
}

/// How much longer to wait for a file in state `now`, which had state `before` when it was last looked at, at `since`.
/// None: it is settled.
#[must_use]
pub fn wait_for(now: FileId, before: FileId, quiet_for: Duration) -> Option<Duration> {
    if now != before {
        return Some(QUIET);
    }
    QUIET.checked_sub(quiet_for).filter(|left| !left.is_zero())
}

/// For how long a file has been quiet at `now`. The time of change counts, not that of modification, which a copy may
/// bring along from elsewhere. A clock that was set back counts as not at all.
#[must_use]
pub fn quiet_for(file: FileId, now: SystemTime) -> Duration {
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    let age = now.saturating_sub(file.changed_ns);
    Duration::from_nanos(u64::try_from(age.max(0)).unwrap_or(u64::MAX))
}

/// Whether a file in the folder claims to be a plugin. Hidden ones are temporary files of editors and copiers.
#[must_use]
pub fn is_candidate(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "so" || extension == "dylib")
}

fn look(path: &Path, root: &Path, permissions: Permissions) -> Result<Option<FolderEntry>, Reason> {
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        // Gone between listing and looking: the next scan sees what came instead.
        Err(_) if path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => {
            return Err(Reason::DanglingLink {
                error: error.to_string(),
            });
        }
    };
    if !resolved.starts_with(root) {
        return Err(Reason::LinkOutside {
            target: resolved.display().to_string(),
        });
    }
    let Ok(metadata) = resolved.symlink_metadata() else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Err(Reason::NotRegular);
    }
    stage::admits(&metadata, permissions)?;
    stage::admits_folders(&resolved, root, permissions)?;
    Ok(Some(FolderEntry {
        path: path.to_owned(),
        resolved,
        file: FileId::of(&metadata),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_settles_when_it_is_quiet_and_unchanged() {
        let file = FileId {
            device: 1,
            inode: 2,
            size: 3,
            modified_ns: 1_000_000_000,
            changed_ns: 2_000_000_000,
        };
        let grown = FileId { size: 4, ..file };
        let ms = Duration::from_millis;
        assert_eq!(wait_for(grown, file, ms(5000)), Some(QUIET));
        assert_eq!(wait_for(file, file, ms(40)), Some(ms(60)));
        assert_eq!(wait_for(file, file, ms(100)), None);
        assert_eq!(wait_for(file, file, ms(5000)), None);

        let at = |ns| SystemTime::UNIX_EPOCH + Duration::from_nanos(ns);
        assert_eq!(quiet_for(file, at(2_040_000_000)), ms(40));
        assert_eq!(
            quiet_for(file, at(1_000_000_000)),
            ms(0),
            "the clock was set back"
        );
    }
}
