//! Which process copies belong to. A process number would not do: in a container every gateway is number 1, and would
//! take what an earlier one left for its own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// A run of the gateway: a random name, and a lock that the system takes back when the process ends.
#[derive(Debug)]
pub(super) struct Run {
    name: String,
    path: PathBuf,
    /// Open for as long as the run lives.
    _lock: File,
}

impl Run {
    /// Begins a run in the folder of all runs.
    pub(super) fn begin(runs: &Path) -> io::Result<Self> {
        loop {
            let name = format!("{:016x}", getrandom::u64().map_err(io::Error::other)?);
            let path = runs.join(&name);
            let lock = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            // Between the two steps another gateway may have taken the file for that of a dead run.
            let there = fs::metadata(&path).map(|there| there.ino());
            if there.ok() == Some(lock.metadata()?.ino()) {
                return Ok(Self {
                    name,
                    path,
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the process of a run still lives. Removes the lock of one that does not.
pub(super) fn is_alive(runs: &Path, name: &str) -> bool {
    let path = runs.join(name);
    let Ok(lock) = File::open(&path) else {
        return false;
    };
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let _ = fs::remove_file(&path);
            false
        }
        // Whatever else the system says, removing nothing is the safe answer.
        Err(_) => true,
    }
}
