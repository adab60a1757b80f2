//! What this process was started as, so that an upgrade starts what lies there then.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The flag that makes a process one that takes over.
pub const SUCCESSOR: &str = "--successor";

/// The executable and its arguments. Not `/proc/self/exe`, which stays the old file; and not where links led when it was
/// started, for an upgrade may be to let them lead elsewhere.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The executable, as it was named.
    pub exe: PathBuf,
    /// Its arguments, without those of an upgrade.
    pub args: Vec<OsString>,
}

impl Origin {
    /// Of this process, which has just been started: the working folder is still the one its name was meant in.
    #[must_use]
    pub fn own() -> Self {
        let mut args = std::env::args_os();
        let name = args.next().unwrap_or_default();
        let args = args.filter(|arg| arg != SUCCESSOR).collect();
        let exe = named(&name, std::env::var_os("PATH").as_deref());
        // It may have been started under any name.
        let exe = exe.filter(|exe| is_same(exe, Path::new("/proc/self/exe")));
        let exe = exe.or_else(|| std::env::current_exe().ok());
        Self {
            exe: exe.unwrap_or_else(|| PathBuf::from("swapgate")),
            args,
        }
    }
}

/// Where an executable lies that was started under a name.
fn named(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    let mut folders = std::env::split_paths(path?);
    folders.find_map(|folder| {
        let file = folder.join(name);
        file.is_file().then(|| std::path::absolute(file).ok())?
    })
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    id(one).is_some() && id(one) == id(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_as_the_shell_does_and_links_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("gate"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let path = std::env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        assert_eq!(named("gate".as_ref(), Some(&path)), Some(link.clone()));
        assert_eq!(named("none".as_ref(), Some(&path)), None);
        assert_eq!(named("/a/gate".as_ref(), None), Some("/a/gate".into()));
        assert!(is_same(&real, &link));
        assert!(!is_same(&real, folder.path()));
    }

    #[test]
    fn this_very_process_is_found() {
        let origin = Origin::own();
        assert!(is_same(&origin.exe, Path::new("/proc/self/exe")));
    }
}
