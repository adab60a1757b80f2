//! A file that has not come to rest.

use std::time::{Duration, Instant, SystemTime};

use super::Folder;
use super::refusals::say;
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::scan::FolderEntry;
use crate::settle::{self, FileId};

/// A file that has not come to rest after this long is shown, because its writer may never end.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Moving {
    file: FileId,
    /// Since when it looks as it does.
    since: Instant,
    /// Since when it has been moving.
    began: Instant,
    /// Said once it has been moving for too long.
    pub(super) restless: Option<Refusal>,
}

impl Folder {
    /// How long a file still needs to come to rest. One that takes too long is said, once.
    pub(super) fn still_moving(&mut self, entry: &FolderEntry) -> Option<Duration> {
        let now = Instant::now();
        let moving = self
            .moving
            .entry(entry.path.clone())
            .or_insert_with(|| Moving {
                file: entry.file,
                since: now,
                began: now,
                restless: None,
            });
        if moving.restless.is_none() && now.duration_since(moving.began) > PATIENCE {
            let shown = entry.path.display().to_string();
            let refusal = Refusal::new(Step::Stage, shown, Reason::Changing);
            say(&refusal, &self.metrics);
            moving.restless = Some(refusal);
        }
        let quiet =
            settle::quiet_for(entry.file, SystemTime::now()).max(now.duration_since(moving.since));
        let left = settle::wait_for(entry.file, moving.file, quiet);
        if moving.file != entry.file {
            (moving.file, moving.since) = (entry.file, now);
        }
        left
    }
}
