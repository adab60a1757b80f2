//! The files that a configuration names: read once for a change, and looked at for the next one.
//!
//! Two questions are asked of them between changes: has one come to another state since it was read (cheap, its contents
//! are not touched), and is what stands in it another text (a file that is copied over itself is no change).

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::config::ConfigError;
use crate::config::ready::NamedFile;
use crate::settle::{self, FileId, QUIET};

/// Largest file that is read: a bundle of all public authorities has a quarter of a million bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// SHA-256.
pub type Digest = [u8; 32];

/// Reads files for one change, each of them once, and remembers what it found.
#[derive(Default)]
pub struct Reader {
    read: BTreeMap<PathBuf, Read>,
}

struct Read {
    seen: Seen,
    mode: u32,
    contents: Result<Arc<[u8]>, String>,
}

impl Reader {
    /// The contents of a file.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(&mut self, file: &NamedFile, what: &str) -> Result<Arc<[u8]>, ConfigError> {
        let read = self.look(&file.path);
        read.contents.clone().map_err(|error| {
            let path = file.path.display();
            let problem = format!("cannot read {path}: {error}");
            let advice = format!("put {what} there, or correct the path");
            ConfigError::new(file.place.clone(), problem).advice(advice)
        })
    }

    /// What stands in a file, in short.
    pub fn digest(&mut self, file: &NamedFile) -> Digest {
        self.look(&file.path).seen.digest
    }

    /// Whether a file can be read by others than its owner.
    pub fn is_open_to_others(&mut self, file: &NamedFile) -> bool {
        const OTHERS_READ: u32 = 0o044;
        self.look(&file.path).mode & OTHERS_READ != 0
    }

    /// What was read, to be compared with later states.
    #[must_use]
    pub fn files(&self) -> Files {
        let seen = |(path, read): (&PathBuf, &Read)| (path.clone(), read.seen);
        Files(self.read.iter().map(seen).collect())
    }

    fn look(&mut self, path: &Path) -> &Read {
        self.read
            .entry(path.to_owned())
            .or_insert_with(|| Read::of(path))
    }
}

impl Read {
    fn of(path: &Path) -> Self {
        // Looked at before it is read: a change in between makes the next look find another state.
        let metadata = std::fs::metadata(path).ok();
        let contents = contents(path).map_err(|error| error.to_string());
        let bytes = contents.as_deref().unwrap_or_default();
        Self {
            seen: Seen {
                state: metadata.as_ref().map(FileId::of),
                digest: Sha256::digest(bytes).into(),
                other: None,
            },
            mode: metadata.map_or(0, |metadata| metadata.mode()),
            contents: contents.map(Arc::from),
        }
    }
}

/// Files as they were when they were read.
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<PathBuf, Seen>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// None: it was not there.
    state: Option<FileId>,
    digest: Digest,
    /// What another look found, and since when: a clock that was set back says of a file that it changes for hours.
    other: Option<(FileId, Instant)>,
}

impl Seen {
    /// How much longer to wait for a file in another state than it had, if it has not come to rest.
    fn still_moves(&mut self, state: FileId, now: SystemTime) -> Option<Duration> {
        let at = Instant::now();
        let since = match self.other {
            Some((other, since)) if other == state => since,
            _ => at,
        };
        self.other = Some((state, since));
        let quiet = settle::quiet_for(state, now).max(at.duration_since(since));
        QUIET.checked_sub(quiet).filter(|left| !left.is_zero())
    }
}

/// What a look at files gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All of them are as they were.
    Same,
    /// One has not come to rest; look again after this time.
    Moving(Duration),
    /// One is in another state, and all have come to rest.
    Changed,
}

impl Files {
    /// Looks at them now. They change together (certificate and key), so all of them have to be at rest.
    #[must_use]
    pub fn look(&mut self, now: SystemTime) -> Look {
        let mut look = Look::Same;
        let mut wait: Option<Duration> = None;
        for (path, seen) in &mut self.0 {
            let state = std::fs::metadata(path).ok().map(|file| FileId::of(&file));
            if state == seen.state {
                continue;
            }
            look = Look::Changed;
            wait = wait.max(state.and_then(|state| seen.still_moves(state, now)));
        }
        wait.map_or(look, Look::Moving)
    }

    /// Those of them that were read in another state than `before` and had not come to rest, which are looked at as if they
    /// had not been there: the next look that finds them at rest finds a change. None: all had.
    #[must_use]
    pub fn unsettled(&self, before: &Self, now: SystemTime) -> Option<Self> {
        let mut unsettled = self.clone();
        let mut any = false;
        for (path, seen) in &mut unsettled.0 {
            let Some(state) = seen.state else {
                continue;
            };
            let known = before.0.get(path);
            if known.is_some_and(|known| known.state == seen.state) {
                continue;
            }
            // Whoever has looked at it before knows for how long it has been so.
            seen.other = known.and_then(|known| known.other);
            if seen.still_moves(state, now).is_some() {
                seen.state = None;
                any = true;
            }
        }
        any.then_some(unsettled)
    }

    /// Whether the same stands in the same files.
    #[must_use]
    pub fn say_the_same(&self, other: &Self) -> bool {
        let digests = |files: &Self| -> Vec<(PathBuf, Digest)> {
            let files = files.0.iter();
            files
                .map(|(path, seen)| (path.clone(), seen.digest))
                .collect()
        };
        digests(self) == digests(other)
    }

    /// Where they lie.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // Anything else could keep its reader waiting for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("it is larger than {MAX_BYTES} bytes");
        return Err(io::Error::other(problem));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ready::Place;

    fn named(path: &Path) -> NamedFile {
        NamedFile {
            path: path.to_owned(),
            place: Place {
                file: Arc::from("gate.yaml"),
                line: 3,
                column: 7,
                key: "listeners[0].tls".to_owned(),
            },
        }
    }

    fn read(path: &Path) -> Files {
        let mut reader = Reader::default();
        let _ = reader.read(&named(path), "a certificate in PEM");
        reader.files()
    }

    /// Long after whatever was written now.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_file_that_changes_is_seen_once_it_rests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "one").expect("write");
        let mut files = read(&path);
        assert_eq!(files.look(later()), Look::Same);
        std::fs::write(&path, "two!").expect("write");
        assert!(matches!(
            files.look(SystemTime::UNIX_EPOCH),
            Look::Moving(_)
        ));
        assert_eq!(files.look(later()), Look::Changed);
        assert!(!files.say_the_same(&read(&path)));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_change_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "one").expect("write");
        let mut files = read(&path);
        std::fs::write(&path, "two!").expect("write");
        let back = SystemTime::UNIX_EPOCH;
        let begun = Instant::now();
        while files.look(back) != Look::Changed {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never rests");
            std::thread::yield_now();
        }
        assert!(begun.elapsed() >= QUIET);
    }

    #[test]
    fn what_was_read_too_early_is_read_again_once_it_rests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "one").expect("write");
        let before = read(&path);
        let none = Files::default();
        assert!(before.unsettled(&before, SystemTime::UNIX_EPOCH).is_none());
        assert!(before.unsettled(&none, later()).is_none());
        std::fs::write(&path, "half").expect("write");
        let now = read(&path);
        let early = now.unsettled(&before, SystemTime::UNIX_EPOCH);
        let mut early = early.expect("it moved a moment ago");
        assert_eq!(early.look(later()), Look::Changed);
    }

    #[test]
    fn a_copy_over_itself_says_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "one").expect("write");
        let mut files = read(&path);
        std::fs::rename(&path, folder.path().join("old")).expect("rename");
        std::fs::write(&path, "one").expect("write");
        assert_eq!(files.look(later()), Look::Changed);
        assert!(files.say_the_same(&read(&path)));
    }

    #[test]
    fn a_file_that_is_not_there_may_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        let mut reader = Reader::default();
        let error = reader.read(&named(&path), "a certificate in PEM");
        let error = error.expect_err("it is not there").to_string();
        assert_eq!(
            error,
            format!(
                "gate.yaml:3:7: listeners[0].tls: cannot read {}: No such file or directory (os error 2); put a certificate in PEM there, or correct the path",
                path.display()
            )
        );
        let mut files = reader.files();
        assert_eq!(files.look(later()), Look::Same);
        std::fs::write(&path, "one").expect("write");
        assert_eq!(files.look(later()), Look::Changed);
        assert!(reader.read(&named(folder.path()), "it").is_err());
    }
}
