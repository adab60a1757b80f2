//! A file system of a few kilobytes, which a test can fill and empty.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system. Dropping it unmounts it.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one with room for so many kilobytes; none where this process may not mount.
    ///
    /// # Panics
    /// When the system has no temporary folder.
    #[must_use]
    pub fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let options = format!("size={kilobytes}k,mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "small-disk"]);
        let mounted = mount.arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|done| done.status.success());
        if !mounted {
            eprintln!("this process may not mount a file system: nothing is shown of a full disk");
        }
        mounted.then_some(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room there is.
    ///
    /// # Panics
    /// When the file cannot be made.
    #[track_caller]
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a name costs no room");
        for piece in [4096, 1] {
            while filler
                .write(&vec![b'x'; piece])
                .is_ok_and(|count| count > 0)
            {}
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// When it was not taken.
    #[track_caller]
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what is open stays readable to whoever has it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_full_and_has_room_again() {
        let Some(disk) = SmallDisk::mount(64) else {
            return;
        };
        let file = disk.path().join("a");
        disk.fill();
        let error = fs::write(&file, "a").expect_err("there is no room");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        disk.empty();
        fs::write(&file, "a").unwrap();
    }
}
