//! Files that the configuration names, such as certificates, are watched where they lie: in the folder of their name, and
//! in that of the file which the name leads to. One watcher serves all of them, because the system gives few.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

use super::events::Event;
use super::watch::{DATA, id, is_a_change, parent};

/// A folder with its device and inode: one made anew under the same name is another one.
type Folder = (PathBuf, Option<(u64, u64)>);

/// Watches files for as long as it lives.
pub struct Follow {
    events: UnboundedSender<Event>,
    names: HashSet<OsString>,
    folders: Vec<Folder>,
    watcher: Option<RecommendedWatcher>,
}

impl Follow {
    /// Watches nothing yet.
    #[must_use]
    pub fn new(events: &UnboundedSender<Event>) -> Self {
        Self {
            events: events.clone(),
            names: HashSet::new(),
            folders: Vec::new(),
            watcher: None,
        }
    }

    /// Watches these files from now on. Whatever happened to them before they were watched is looked for.
    pub fn these<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let (names, folders) = places(files);
        if names == self.names && folders == self.folders {
            return;
        }
        self.watcher = watcher(&names, &folders, self.events.clone());
        (self.names, self.folders) = (names, folders);
        let _ = self.events.send(Event::Files);
    }
}

/// The names that matter, and the folders they lie in.
fn places<'a>(files: impl Iterator<Item = &'a Path>) -> (HashSet<OsString>, Vec<Folder>) {
    let mut names = HashSet::new();
    let mut folders = Vec::new();
    for file in files {
        let real = file.canonicalize().ok();
        for file in std::iter::once(file).chain(real.as_deref()) {
            names.extend(file.file_name().map(OsStr::to_owned));
            let folder = parent(file);
            let folder = (id(&folder), folder);
            folders.push((folder.1, folder.0));
        }
    }
    folders.sort_unstable();
    folders.dedup();
    (names, folders)
}

fn watcher(
    names: &HashSet<OsString>,
    folders: &[Folder],
    events: UnboundedSender<Event>,
) -> Option<RecommendedWatcher> {
    if folders.is_empty() {
        return None;
    }
    let names = names.clone();
    let concerns = move |path: &PathBuf| {
        path.file_name()
            .is_none_or(|name| name == DATA || names.contains(name))
    };
    let made = notify::recommended_watcher(move |seen: notify::Result<notify::Event>| {
        let worth = seen.as_ref().map_or(true, |seen| {
            // An event without a path says that others were lost.
            is_a_change(seen.kind) && (seen.paths.is_empty() || seen.paths.iter().any(&concerns))
        });
        if worth {
            let _ = events.send(Event::Files);
        }
    });
    let said = |path: &Path, error: notify::Error| {
        tracing::warn!(target: "control", path = %path.display(), %error, "cannot watch, looking every 10 s instead");
    };
    let mut watcher = match made {
        Ok(watcher) => watcher,
        Err(error) => {
            said(
                folders.first().map_or(Path::new(""), |(path, _)| path),
                error,
            );
            return None;
        }
    };
    for (path, _) in folders {
        if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
            said(path, error);
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_link_is_followed_to_where_it_leads_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "one"), ("v2", "two")] {
            std::fs::create_dir(at(version)).expect("a folder");
            std::fs::write(at(version).join("a.pem"), text).expect("write");
        }
        std::os::unix::fs::symlink("v1", at(DATA)).expect("a link");
        std::os::unix::fs::symlink("..data/a.pem", at("a.pem")).expect("a link");
        let (events, mut seen) = unbounded_channel();
        let mut follow = Follow::new(&events);
        let file = at("a.pem");
        follow.these(std::iter::once(&*file));
        assert_eq!(
            seen.try_recv(),
            Ok(Event::Files),
            "what was missed is looked for"
        );
        let first = follow.folders.clone();
        assert_eq!(first.len(), 2);
        follow.these(std::iter::once(&*file));
        assert_eq!(follow.folders, first);
        std::os::unix::fs::symlink("v2", at("..next")).expect("a link");
        std::fs::rename(at("..next"), at(DATA)).expect("rename");
        assert_eq!(seen.blocking_recv(), Some(Event::Files));
        follow.these(std::iter::once(&*file));
        assert_ne!(follow.folders, first);
    }
}
