//! The configuration file: read when it has come to rest, as plugin files are. Half a file may well be a good
//! configuration, with half of the routes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Source;
use crate::settle::{self, FileId, QUIET};

/// The configuration file, as it was last looked at.
pub struct File {
    path: PathBuf,
    /// What it was, and since when; no [`FileId`] while it is not there.
    last: Option<(Option<FileId>, Instant)>,
}

/// What a look at the file gives.
pub enum Look {
    /// It has not come to rest; look again after this time.
    Moving(Duration),
    /// What it says, or why it cannot be read.
    Read(Result<Source, String>),
}

impl File {
    /// A file that was not looked at yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, last: None }
    }

    /// Reads the file, unless it is still being changed. Whoever asks for it by a signal says that it is whole.
    pub fn look(&mut self, asked: bool) -> Look {
        let before = state(&self.path);
        if !asked && let Some(left) = self.still_moves(before) {
            return Look::Moving(left);
        }
        let read = Source::read(&self.path).map_err(|error| error.to_string());
        if state(&self.path) == before {
            Look::Read(read)
        } else {
            Look::Moving(QUIET)
        }
    }

    fn still_moves(&mut self, now: Option<FileId>) -> Option<Duration> {
        let at = Instant::now();
        let (before, since) = *self.last.get_or_insert((now, at));
        let since = if before == now { since } else { at };
        self.last = Some((now, since));
        let watched = at.duration_since(since);
        // One that is gone may be on its way back: some editors remove a file before they write it.
        let quiet = now.map_or(watched, |file| {
            settle::quiet_for(file, SystemTime::now()).max(watched)
        });
        QUIET.checked_sub(quiet).filter(|left| !left.is_zero())
    }
}

fn state(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|file| FileId::of(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until the file is read.
    fn read(file: &mut File) -> Result<String, String> {
        loop {
            match file.look(false) {
                Look::Read(read) => return read.map(|source| source.text),
                Look::Moving(_) => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_file_that_changes_is_read_once_it_rests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gate.yaml");
        let mut file = File::new(path.clone());
        std::fs::write(&path, "half").expect("write");
        assert!(matches!(file.look(false), Look::Moving(_)));
        assert!(matches!(file.look(true), Look::Read(Ok(_))), "asked");
        std::fs::write(&path, "all of it").expect("write");
        assert_eq!(read(&mut file).as_deref(), Ok("all of it"));
        std::fs::remove_file(&path).expect("remove");
        assert!(matches!(file.look(false), Look::Moving(_)));
        assert!(read(&mut file).is_err());
    }
}
