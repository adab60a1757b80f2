//! Whether a file has come to rest, so that nobody reads one that is still being written. Decides only: whoever waits for a
//! file asks again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

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
