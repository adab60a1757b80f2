//! Files and signals become events.
//!
//! An event only ever means "look": what changed is found by looking, because events are merged, lost and misleading
//! (a hard link gives only Create, `cp` in place gives several Modify, a `ConfigMap` swaps a link two folders up). The
//! rescan in the main loop covers what is lost.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::events::Event;
use super::follow::Follow;

/// The link that Kubernetes swaps when a `ConfigMap` changes.
pub(super) const DATA: &str = "..data";

/// Watches for as long as it lives.
pub struct Watch {
    folder: PathBuf,
    config: PathBuf,
    events: UnboundedSender<Event>,
    watched: Vec<Watched>,
    named: Follow,
}

/// One folder that is watched.
struct Watched {
    path: PathBuf,
    /// Device and inode: a folder made anew under the same name is another one.
    id: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches the plugins folder, the folder of the configuration file, and that of the file it is a link to. What
    /// cannot be watched is said; the rescan finds changes then.
    #[must_use]
    pub fn start(folder: &Path, config: &Path, events: &UnboundedSender<Event>) -> Self {
        let mut watch = Self {
            folder: folder.to_owned(),
            config: config.to_owned(),
            events: events.clone(),
            watched: Vec::new(),
            named: Follow::new(events),
        };
        watch.renew();
        watch
    }

    /// Watches the files that the configuration names now.
    pub fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        self.named.these(files);
    }

    /// Watches what is another folder now than it was: one that was made anew, or that a link leads to now.
    pub fn renew(&mut self) {
        let wanted = self.wanted();
        let same = |old: &Watched, (path, _): &(PathBuf, Option<OsString>)| {
            old.path == *path && old.id == id(path)
        };
        let is_same = wanted.len() == self.watched.len()
            && self
                .watched
                .iter()
                .zip(&wanted)
                .all(|(old, new)| same(old, new));
        if is_same {
            return;
        }
        let before = std::mem::take(&mut self.watched);
        for (path, name) in wanted {
            let id = id(&path);
            // What could not be watched before and is as it was, is said once.
            let told = before.iter().any(|old| old.path == path && old.id == id);
            let event = match name {
                None => Event::Folder,
                Some(_) => Event::Config { asked: false },
            };
            let made = watcher(&path, name, event, self.events.clone(), told);
            self.watched.push(Watched {
                path,
                id,
                _watcher: made,
            });
        }
    }

    /// The folders to watch, and for which name in them; none: for everything.
    fn wanted(&self) -> Vec<(PathBuf, Option<OsString>)> {
        let mut wanted = vec![(self.folder.clone(), None)];
        let real = self.config.canonicalize().ok();
        for file in std::iter::once(&self.config).chain(&real) {
            let beside = (parent(file), file.file_name().map(OsStr::to_owned));
            let known = wanted.iter().any(|(path, name)| {
                name.is_some() && *name == beside.1 && id(path) == id(&beside.0)
            });
            if !known {
                wanted.push(beside);
            }
        }
        wanted
    }
}

pub(super) fn parent(file: &Path) -> PathBuf {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

pub(super) fn id(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn watcher(
    path: &Path,
    name: Option<OsString>,
    event: Event,
    events: UnboundedSender<Event>,
    told: bool,
) -> Option<RecommendedWatcher> {
    let made = notify::recommended_watcher(move |seen: notify::Result<notify::Event>| {
        let worth = seen.as_ref().map_or(true, |seen| {
            is_a_change(seen.kind) && concerns(&seen.paths, name.as_deref())
        });
        if worth {
            let _ = events.send(event);
        }
    });
    let watching = made.and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            if !told {
                tracing::warn!(target: "control", path = %path.display(), %error, "cannot watch, looking every 10 s instead");
            }
            None
        }
    }
}

/// Whether an event is about the file that matters. Others lie beside it, such as our own log, where a line about an
/// event would be the next event.
fn concerns(paths: &[PathBuf], name: Option<&OsStr>) -> bool {
    let Some(name) = name else {
        return true;
    };
    let names = |path: &PathBuf| {
        path.file_name()
            .is_none_or(|found| found == name || found == DATA)
    };
    // An event without a path says that others were lost.
    paths.is_empty() || paths.iter().any(names)
}

/// Opening and reading changes nothing, and our own reads would keep us busy for ever.
pub(super) fn is_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The signals an operator may send.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    second_user: Signal,
}

impl Signals {
    /// Takes the signals over; from here on none of them has its default effect.
    ///
    /// # Errors
    /// The system takes no handler.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            second_user: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for one that ends the process, and says its name; SIGHUP and SIGUSR2 become events meanwhile.
    pub async fn end(&mut self, events: &UnboundedSender<Event>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => { let _ = events.send(Event::Config { asked: true }); }
                _ = self.second_user.recv() => { let _ = events.send(Event::Upgrade); }
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], name: Option<&str>, expected: bool) {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        assert_eq!(concerns(&paths, name.map(OsStr::new)), expected);
    }

    #[test]
    fn only_events_about_the_file_count() {
        check(&["/etc/gate/gate.log"], Some("gate.yaml"), false);
        check(&["/etc/gate/gate.yaml"], Some("gate.yaml"), true);
        check(
            &["/etc/gate/.gate.new", "/etc/gate/gate.yaml"],
            Some("gate.yaml"),
            true,
        );
        check(&["/etc/gate/..data"], Some("gate.yaml"), true);
        check(&[], Some("gate.yaml"), true);
        check(&["/plugins.d/anything"], None, true);
    }

    #[test]
    fn a_folder_made_anew_is_watched_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let plugins = folder.path().join("plugins.d");
        let real = folder.path().join("real");
        for made in [&plugins, &real] {
            std::fs::create_dir(made).expect("a folder");
        }
        std::fs::write(real.join("a.yaml"), "").expect("write");
        let config = folder.path().join("gate.yaml");
        std::os::unix::fs::symlink("real/a.yaml", &config).expect("a link");
        let (events, _seen) = tokio::sync::mpsc::unbounded_channel();
        let mut watch = Watch::start(&plugins, &config, &events);
        let ids = |watch: &Watch| watch.watched.iter().map(|one| one.id).collect::<Vec<_>>();
        let first = ids(&watch);
        assert_eq!(first.len(), 3);
        watch.renew();
        assert_eq!(ids(&watch), first);
        std::fs::rename(&plugins, folder.path().join("old")).expect("rename");
        std::fs::create_dir(&plugins).expect("a folder");
        watch.renew();
        assert_ne!(ids(&watch), first);
        assert_eq!(ids(&watch)[1..], first[1..]);
    }
}
