//! Which files lie in the plugins folder. Decides only: the watcher that asks again is part of control.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::ready::Permissions;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::stage;
use crate::settle::FileId;

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
