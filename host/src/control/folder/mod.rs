//! Which plugin files lie in the folder, settled and fit.

mod before;
mod known;
mod moving;
mod refusals;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::ready::Permissions;
use crate::counted::Metrics;
use crate::plugin::catalog::Catalog;
use crate::plugin::fit::Fit;
use crate::plugin::image::Digest;
use crate::plugin::refusal::{Reason, Refusal};
use crate::plugin::scan::{self, FolderEntry};
use crate::settle::FileId;

use known::{Known, Seen};
use moving::Moving;
use refusals::say;

pub use before::PREVIOUS;
pub(super) use known::RETRY;

/// How long to wait before a file is looked at again that changed while it was copied.
const AGAIN: Duration = Duration::from_millis(100);

/// The plugins folder as it was last looked at.
pub struct Folder {
    path: PathBuf,
    known: BTreeMap<PathBuf, Known>,
    /// Files that have not come to rest.
    moving: BTreeMap<PathBuf, Moving>,
    /// Refused from outside, without being opened.
    outside: Vec<Refusal>,
    settled: u64,
    /// Counts how often refused files were given another chance.
    chances: u64,
    /// What is in quarantine, by digest: why.
    held: BTreeMap<String, String>,
    /// Where the files lie that served before those of the folder.
    previous: Option<PathBuf>,
    /// Those of them that are wanted, because the file of the folder is in quarantine.
    fallen_back: BTreeMap<PathBuf, (FileId, Arc<Fit>)>,
    /// Counts refusals.
    metrics: Arc<Metrics>,
}

/// What the folder offers: the same again promises nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    listing: u64,
    chances: u64,
}

/// A file that may be chosen.
#[derive(Clone)]
pub struct Candidate {
    /// The file.
    pub fit: Arc<Fit>,
    /// When it settled, as a count.
    pub order: u64,
}

impl Folder {
    /// A folder that was not looked at yet.
    #[must_use]
    pub fn new(path: PathBuf, metrics: &Arc<Metrics>) -> Self {
        Self {
            path,
            known: BTreeMap::new(),
            moving: BTreeMap::new(),
            outside: Vec::new(),
            settled: 0,
            chances: 0,
            held: BTreeMap::new(),
            previous: None,
            fallen_back: BTreeMap::new(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Looks at the folder: files that are new or changed and have come to rest are staged and inspected. Gives back
    /// how long to wait before looking again, if a file has not come to rest.
    pub async fn refresh(
        &mut self,
        catalog: &mut Catalog,
        permissions: Permissions,
    ) -> Option<Duration> {
        let scan = match scan::scan(&self.path, permissions) {
            Ok(scan) => scan,
            Err(error) => {
                tracing::warn!(target: "control", folder = %self.path.display(), %error, "cannot read the plugins folder");
                return None;
            }
        };
        self.say_outside(scan.refused);
        let paths: Vec<&PathBuf> = scan.entries.iter().map(|entry| &entry.path).collect();
        self.known.retain(|path, _| paths.contains(&path));
        self.moving.retain(|path, _| paths.contains(&path));
        let mut entries = scan.entries;
        // Files that settle in one look, at a start for example, settled in the order of their last change.
        entries.sort_by_key(|entry| entry.file.changed_ns);
        let mut wait: Option<Duration> = None;
        for entry in entries {
            if let Some(left) = self.look(entry, catalog).await {
                wait = Some(wait.map_or(left, |known| known.min(left)));
            }
        }
        self.fall_back(catalog, permissions).await;
        let present: Vec<Digest> = self.candidates_of_all().map(|fit| fit.digest()).collect();
        catalog.forget_except(&present);
        wait
    }

    /// The files of a plugin.
    #[must_use]
    pub fn candidates(&self, plugin: &str) -> Vec<Candidate> {
        let fits = self.known.values().filter_map(|known| match &known.seen {
            Seen::Fit(fit) if fit.inspected.descriptor.id == plugin => Some(Candidate {
                fit: Arc::clone(fit),
                order: known.order,
            }),
            _ => None,
        });
        let before = self.fallen_back.values().map(|(_, fit)| fit);
        let before = before.filter(|fit| {
            fit.inspected.descriptor.id == plugin
                && !self.held.contains_key(&fit.digest().to_string())
        });
        let before = before.map(|fit| Candidate {
            fit: Arc::clone(fit),
            order: 0,
        });
        fits.chain(before).collect()
    }

    /// Whether the file with this digest is in quarantine.
    #[must_use]
    pub fn holds(&self, digest: &str) -> bool {
        self.held.contains_key(digest)
    }

    /// Takes the files with these digests out of the choice, and all others back in.
    pub fn hold(&mut self, held: &BTreeMap<String, String>) {
        if self.held != *held {
            self.held.clone_from(held);
            self.chances += 1;
        }
        for known in self.known.values_mut() {
            known.hold(&self.held);
        }
    }

    /// Takes a file out of the choice, until it changes.
    pub fn refuse(&mut self, digest: Digest, refusal: &Refusal) {
        for known in self.known.values_mut() {
            let fit = match &known.seen {
                Seen::Fit(fit) if fit.digest() == digest => Some(Arc::clone(fit)),
                _ => None,
            };
            if let Some(fit) = fit {
                known.plugin = Some(fit.inspected.descriptor.id.clone());
                known.seen = Seen::Refused(refusal.clone());
                known.since = Instant::now();
                self.metrics.events.refused(refusal.reason.name());
            }
        }
    }

    /// What the folder offers, as it was last looked at. What became of its files since does not count.
    #[must_use]
    pub fn offer(&self) -> Offer {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for (path, known) in &self.known {
            (path, known.file).hash(&mut hasher);
        }
        for refusal in &self.outside {
            refusal.text().hash(&mut hasher);
        }
        Offer {
            listing: hasher.finish(),
            chances: self.chances,
        }
    }

    /// Lets files be tried again whose refusal may pass: after a while, or at once if `now` says that something changed. Says
    /// whether there are any.
    pub fn forget_passing(&mut self, now: bool) -> bool {
        let mut given = false;
        for known in self.known.values_mut() {
            let holds = known.holds();
            if holds.is_some_and(|holds| now || known.since.elapsed() >= holds) {
                known.again = true;
                known.chances = known.chances.saturating_add(1);
                given = true;
            }
        }
        self.chances += u64::from(given);
        given
    }

    /// How long until the next file gets another chance that the system had nothing to give for.
    #[must_use]
    pub fn next_chance(&self) -> Option<Duration> {
        let known = self.known.values().filter(|known| !known.again);
        let left = known.filter_map(|known| {
            let holds = known.holds().filter(|holds| *holds < RETRY)?;
            Some(holds.saturating_sub(known.since.elapsed()))
        });
        left.min()
    }

    fn candidates_of_all(&self) -> impl Iterator<Item = &Arc<Fit>> {
        let known = self.known.values().filter_map(|known| match &known.seen {
            Seen::Fit(fit) | Seen::Held(fit, _) => Some(fit),
            Seen::Refused(_) => None,
        });
        known.chain(self.fallen_back.values().map(|(_, fit)| fit))
    }

    /// Looks at one file; how long it still needs to come to rest.
    async fn look(&mut self, entry: FolderEntry, catalog: &mut Catalog) -> Option<Duration> {
        if self
            .known
            .get(&entry.path)
            .is_some_and(|known| known.file == entry.file && !known.again)
        {
            self.moving.remove(&entry.path);
            return None;
        }
        if let Some(left) = self.still_moving(&entry) {
            return Some(left);
        }
        let (path, file) = (entry.path.clone(), entry.file);
        let seen = match catalog.admit(entry).await {
            Ok(fit) => Seen::Fit(fit),
            Err(refusal) if *refusal.reason == Reason::Changing => return Some(AGAIN),
            Err(refusal) => {
                say(&refusal, &self.metrics);
                Seen::Refused(refusal)
            }
        };
        self.moving.remove(&path);
        // Another chance changes nothing about when a file settled.
        let before = self.known.get(&path).filter(|known| known.file == file);
        let order = before.map_or(self.settled + 1, |known| known.order);
        let chances = before.map_or(0, |known| known.chances);
        self.settled = self.settled.max(order);
        let mut known = Known {
            file,
            order,
            seen,
            plugin: None,
            since: Instant::now(),
            again: false,
            chances,
        };
        known.hold(&self.held);
        self.known.insert(path, known);
        None
    }
}
