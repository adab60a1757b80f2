//! A plugins folder, and every way in which people and tools put files into one.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A folder of plugin files, with a folder beside it where files are prepared, on the same file system.
#[derive(Debug, Clone)]
pub struct PluginDir {
    folder: PathBuf,
    aside: PathBuf,
}

impl PluginDir {
    /// Makes `plugins.d` and `aside` in a folder.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn create(within: &Path) -> Self {
        let (folder, aside) = (within.join("plugins.d"), within.join("aside"));
        for made in [&folder, &aside] {
            fs::create_dir(made).expect("an empty temporary folder");
            set_mode(made, 0o755);
        }
        Self { folder, aside }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `cp` over what is there: the same inode, written in place.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn copy(&self, bytes: &[u8], name: &str) {
        write(&self.file(name), bytes);
    }

    /// `mv`: prepared elsewhere on the same file system, then renamed over what is there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rename(&self, bytes: &[u8], name: &str) {
        let prepared = self.aside.join(name);
        // A hard link of before may share its inode with the file in the folder, and a rename between two names of one
        // inode does nothing.
        remove(&prepared);
        write(&prepared, bytes);
        fs::rename(prepared, self.file(name)).expect("both folders are on one file system");
    }

    /// `ln -f`, as cargo puts its products in place: what is there is removed, then a hard link is made.
    ///
    /// # Panics
    /// When it cannot be linked.
    pub fn hard_link(&self, bytes: &[u8], name: &str) {
        let prepared = self.aside.join(name);
        // The link of the last time shares its inode with the file in the folder, which must not be written in place.
        remove(&prepared);
        write(&prepared, bytes);
        remove(&self.file(name));
        fs::hard_link(prepared, self.file(name)).expect("both folders are on one file system");
    }

    /// As Kubernetes mounts a volume: files stand in a folder of their own, `..data` links to it, each name links through
    /// `..data`, and a new set becomes visible by renaming a new `..data` over the old one.
    ///
    /// # Panics
    /// When it cannot be linked.
    pub fn swap_link(&self, files: &[(&str, &[u8])], revision: &str) {
        let set = self.file(&format!("..{revision}"));
        fs::create_dir(&set).expect("revisions have names of their own");
        set_mode(&set, 0o755);
        for (name, bytes) in files {
            write(&set.join(name), bytes);
        }
        let next = self.file("..data_tmp");
        symlink(format!("..{revision}"), &next).expect("no such link is left over");
        fs::rename(next, self.file("..data")).expect("a link is renamed over a link");
        for (name, _) in files {
            let visible = self.file(name);
            if fs::symlink_metadata(&visible).is_err() {
                symlink(Path::new("..data").join(name), visible).expect("the name is free");
            }
        }
    }

    /// Removes a file.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).expect("the file is there");
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).expect("the folder is ours");
    file.write_all(bytes).expect("the disk has room");
    // Whatever the umask of the machine: a file that others may write is refused by the gateway.
    set_mode(path, 0o755);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the file is ours");
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn each_way_puts_the_bytes_there_in_its_own_way() {
        let folder = tempfile::tempdir().unwrap();
        let plugins = PluginDir::create(folder.path());
        let inode = || fs::metadata(plugins.file("a.so")).unwrap().ino();
        let content = || fs::read(plugins.file("a.so")).unwrap();

        plugins.copy(b"one", "a.so");
        let first = inode();
        plugins.copy(b"two", "a.so");
        assert_eq!((content(), inode()), (b"two".to_vec(), first));
        plugins.rename(b"three", "a.so");
        assert_eq!(content(), b"three");
        assert_ne!(inode(), first);
        for bytes in [b"four".as_slice(), b"five"] {
            plugins.hard_link(bytes, "a.so");
            assert_eq!(content(), bytes);
        }
        plugins.rename(b"renamed", "a.so");
        assert_eq!(content(), b"renamed");
        assert!(!plugins.aside.join("a.so").exists());
        plugins.remove("a.so");
        for (revision, bytes) in [("r1", b"six".as_slice()), ("r2", b"seven")] {
            plugins.swap_link(&[("a.so", bytes)], revision);
            assert_eq!(content(), bytes);
        }
    }
}
