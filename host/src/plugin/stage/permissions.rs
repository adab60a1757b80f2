//! Who may be able to write to plugin files: whoever can, decides what the gateway runs.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::broken;
use crate::config::ready::Permissions;
use crate::plugin::refusal::{Reason, Who};

/// Whether a file with this metadata may be a plugin.
///
/// # Errors
/// Somebody else owns it or may write to it.
pub fn admits(metadata: &Metadata, permissions: Permissions) -> Result<(), Reason> {
    if !ours(metadata.uid()) {
        return Err(Reason::OtherOwner {
            uid: metadata.uid(),
        });
    }
    let mode = metadata.mode() & 0o7777;
    match writable_by(mode, permissions) {
        None => Ok(()),
        Some(who) => Err(Reason::WritableFile {
            who,
            mode,
            fix: fix(permissions),
        }),
    }
}

/// Whether the folders from the one that holds `file` up to the plugins folder `root` keep others out: whoever may
/// write to one of them can replace the file.
///
/// # Errors
/// Somebody else owns one or may write to it.
pub fn admits_folders(file: &Path, root: &Path, permissions: Permissions) -> Result<(), Reason> {
    for folder in file.ancestors().skip(1) {
        let metadata = fs::metadata(folder)
            .map_err(|error| broken("look at the folder of the file", &error))?;
        let mode = metadata.mode() & 0o7777;
        let name = || folder.display().to_string();
        if !ours(metadata.uid()) {
            return Err(Reason::OtherFolderOwner {
                folder: name(),
                uid: metadata.uid(),
            });
        }
        if let Some(who) = writable_by(mode, permissions) {
            return Err(Reason::WritableFolder {
                folder: name(),
                who,
                mode,
                fix: fix(permissions),
            });
        }
        if folder == root {
            break;
        }
    }
    Ok(())
}

/// Whether nobody else may write to a folder of the gateway's own.
///
/// # Errors
/// Somebody else owns it or may write to it.
pub(super) fn keeps_others_out(folder: &Path) -> Result<(), Reason> {
    let metadata =
        fs::metadata(folder).map_err(|error| broken("look at the state folder", &error))?;
    let (folder, mode) = (folder.display().to_string(), metadata.mode() & 0o7777);
    if !ours(metadata.uid()) {
        let uid = metadata.uid();
        return Err(Reason::OtherFolderOwner { folder, uid });
    }
    match writable_by(mode, Permissions::Strict) {
        None => Ok(()),
        Some(who) => Err(Reason::WritableFolder {
            folder,
            who,
            mode,
            fix: fix(Permissions::Strict),
        }),
    }
}

fn ours(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn writable_by(mode: u32, permissions: Permissions) -> Option<Who> {
    if mode & 0o002 != 0 {
        Some(Who::World)
    } else if mode & 0o020 != 0 && permissions == Permissions::Strict {
        Some(Who::Group)
    } else {
        None
    }
}

fn fix(permissions: Permissions) -> String {
    match permissions {
        Permissions::Strict => "go-w".to_owned(),
        Permissions::Relaxed => "o-w".to_owned(),
    }
}
