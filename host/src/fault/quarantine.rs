//! Files that are not taken any more, by digest, in `<state_dir>/quarantine.json`, so that no scan and no restart brings
//! them back. An operator lets one go with `swapgate plugin release`, or puts another file in its place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use serde::{Deserialize, Serialize};

use super::report::Report;

/// The name of the file.
const NAME: &str = "quarantine.json";
/// The file whose lock whoever changes the other one holds: that one is another file after each change.
const LOCK: &str = "quarantine.lock";
/// How long somebody else may hold the lock, and how often it is tried meanwhile.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(10));

/// What is remembered.
#[derive(Debug)]
pub struct Quarantine {
    path: PathBuf,
    kept: Kept,
    /// Of the file as it was last read or written.
    seen: Option<(SystemTime, u64)>,
    /// It is no such file, and must not be written over.
    strange: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// By digest, in hexadecimal.
    files: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who it is, as `id@version`.
    pub plugin: String,
    /// How often it ended the process.
    #[serde(default)]
    pub crashes: u64,
    /// What happened last.
    pub last: String,
    /// When, in seconds since 1970.
    pub at_unix_s: u64,
    /// Why it is not taken any more; none while it still is.
    #[serde(default)]
    pub held: Option<String>,
}

impl Quarantine {
    /// Opens `<state>/quarantine.json`. One that cannot be read counts as empty, and that is said.
    #[must_use]
    pub fn open(state: &Path) -> Self {
        let mut quarantine = Self {
            path: state.join(NAME),
            kept: Kept::default(),
            seen: None,
            strange: false,
        };
        quarantine.look();
        quarantine
    }

    /// Looks whether somebody else changed the file, and takes it over then.
    pub fn look(&mut self) {
        let seen = self.stamp();
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        // As text: the reader of bytes would take a file that is none, as long as only keys are broken that it does not know.
        let read = std::fs::read_to_string(&self.path);
        let read = read.and_then(|text| Ok(serde_json::from_str(&text)?));
        self.strange = false;
        self.kept = match read {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                self.strange = true;
                let path = self.path.display();
                tracing::error!(target: "control", %error, "cannot read {path}; no file is in quarantine, mend or remove it");
                Kept::default()
            }
        };
    }

    /// Counts a crash; from `limit` on the file is held. Says who it was and whether it is held now.
    pub fn crashed(&mut self, report: &Report, limit: u64) {
        let Some((plugin, digest)) = report.culprit() else {
            return;
        };
        let _lock = self.lock();
        self.look();
        let (plugin, digest) = (plugin.to_owned(), digest.to_owned());
        let entry = self.entry(&plugin, digest, report.to_string());
        // The file may say anything, the largest number there is included.
        entry.crashes = entry.crashes.saturating_add(1);
        let crashes = entry.crashes;
        if limit > 0 && crashes >= limit && entry.held.is_none() {
            let times = if crashes == 1 {
                "once"
            } else {
                &*format!("{crashes} times")
            };
            entry.held = Some(format!(
                "it ended the gateway {times}, the last time so: {report}"
            ));
            tracing::error!(target: "control", plugin, crashes, "plugin {plugin} is put into quarantine: it ended the gateway {times}");
        } else {
            tracing::warn!(target: "control", plugin, crashes, limit, "plugin {plugin} ended the gateway, {crashes} of {limit} times before it is put into quarantine");
        }
        self.save();
    }

    /// Holds a file that went wrong on probation.
    pub fn returned(&mut self, plugin: &str, digest: &str, why: String) {
        let _lock = self.lock();
        self.look();
        let entry = self.entry(plugin, digest.to_owned(), why.clone());
        entry.held = Some(why);
        self.save();
    }

    /// Takes a file again that is held. Its crashes still count.
    pub fn take_again(&mut self, digest: &str) {
        let _lock = self.lock();
        self.look();
        if let Some(entry) = self.kept.files.get_mut(digest) {
            entry.held = None;
            self.save();
        }
    }

    /// Why a file is not taken; none if it is.
    #[must_use]
    pub fn holds(&self, digest: &str) -> Option<&str> {
        self.kept.files.get(digest)?.held.as_deref()
    }

    /// Every file that is held, with why.
    #[must_use]
    pub fn held(&self) -> BTreeMap<String, String> {
        let files = self.kept.files.iter();
        files
            .filter_map(|(digest, entry)| Some((digest.clone(), entry.held.clone()?)))
            .collect()
    }

    /// Everything that is remembered, by digest.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.kept
            .files
            .iter()
            .map(|(digest, entry)| (&**digest, entry))
    }

    /// Lets files go whose digests begin so; who they were.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn release(&mut self, digest: &str) -> io::Result<Vec<String>> {
        let _lock = self.lock();
        self.look();
        let mut gone = Vec::new();
        self.kept.files.retain(|known, entry| {
            let keep = !known.starts_with(digest);
            if !keep {
                gone.push(entry.plugin.clone());
            }
            keep
        });
        if !gone.is_empty() {
            self.write()?;
        }
        Ok(gone)
    }

    fn entry(&mut self, plugin: &str, digest: String, last: String) -> &mut Entry {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let entry = self.kept.files.entry(digest).or_default();
        plugin.clone_into(&mut entry.plugin);
        entry.last = last;
        entry.at_unix_s = since.map_or(0, |since| since.as_secs());
        entry
    }

    fn save(&mut self) {
        if let Err(error) = self.write() {
            let path = self.path.display();
            tracing::error!(target: "control", %error, "cannot write {path}; what is in quarantine is forgotten with this process");
        }
    }

    /// Written aside and renamed, so that a reader sees all of it or nothing.
    fn write(&mut self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.kept)?;
        if self.strange {
            let away = self.beside("unreadable");
            std::fs::rename(&self.path, &away)?;
            self.strange = false;
            let (path, away) = (self.path.display(), away.display());
            tracing::warn!(target: "control", "{path} could not be read and is called {away} now");
        }
        let aside = self.beside("aside");
        let written =
            std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        written?;
        self.seen = self.stamp();
        Ok(())
    }

    /// A name beside the file that nobody else uses.
    fn beside(&self, what: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (second, process) = (since.map_or(0, |since| since.as_secs()), std::process::id());
        let extension = format!("json.{what}-{second}-{process}-{count}");
        self.path.with_extension(extension)
    }

    /// Keeps others from changing the file between a look at it and its change, until the lock is dropped. Without it, what
    /// is changed at the same time may be lost, which is better than not to note a crash.
    fn lock(&self) -> Option<File> {
        let path = self.path.with_file_name(LOCK);
        let end = Instant::now() + PATIENCE.0;
        let locked = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|file| {
                loop {
                    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                        Ok(()) => return Ok(file),
                        Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                            std::thread::sleep(PATIENCE.1);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            });
        if let Err(error) = &locked {
            let path = path.display();
            tracing::warn!(target: "control", %error, "cannot lock {path}; what another process changes at the same time may be lost");
        }
        locked.ok()
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(digest: &str) -> Report {
        Report {
            signal: libc::SIGSEGV,
            plugin: Some("demo@1.0.0".to_owned()),
            digest: Some(digest.to_owned()),
            ..Report::default()
        }
    }

    #[test]
    fn the_last_admitted_crash_holds_and_a_release_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::open(folder.path());
        quarantine.crashed(&report("aa11"), 2);
        assert_eq!(quarantine.holds("aa11"), None);
        let mut again = Quarantine::open(folder.path());
        again.crashed(&report("aa11"), 2);
        assert!(
            again
                .holds("aa11")
                .unwrap()
                .starts_with("it ended the gateway 2 times")
        );
        quarantine.look();
        assert!(
            quarantine.holds("aa11").is_some(),
            "another process wrote it"
        );
        assert_eq!(quarantine.release("aa").unwrap(), ["demo@1.0.0"]);
        again.look();
        assert!(again.held().is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_moved_aside() {
        let broken: &[u8] = b"{\"files\":{},\"unknown\":\"\xff\"}";
        for strange in [b"no JSON", broken] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(NAME), strange).unwrap();
            let mut quarantine = Quarantine::open(folder.path());
            assert!(quarantine.release("aa11").unwrap().is_empty());
            quarantine.crashed(&report("aa11"), 1);
            assert!(Quarantine::open(folder.path()).holds("aa11").is_some());
            let files = std::fs::read_dir(folder.path()).unwrap();
            let mut texts = files.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
            assert!(texts.any(|text| text == strange));
        }
    }

    #[test]
    fn the_largest_count_a_file_may_say_is_counted_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"files":{"aa11":{"plugin":"p","crashes":18446744073709551615,"last":"x","at_unix_s":1}}}"#;
        std::fs::write(folder.path().join(NAME), text).unwrap();
        let mut quarantine = Quarantine::open(folder.path());
        quarantine.crashed(&report("aa11"), 2);
        assert!(quarantine.holds("aa11").is_some());
        assert_eq!(
            quarantine.entries().map(|(_, one)| one.crashes).max(),
            Some(u64::MAX)
        );
    }

    #[test]
    fn processes_that_count_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for process in 0..4 {
                let path = folder.path();
                scope.spawn(move || {
                    let mut quarantine = Quarantine::open(path);
                    for crash in 0..5 {
                        quarantine.crashed(&report(&format!("{process}-{crash}")), 1);
                    }
                });
            }
        });
        assert_eq!(Quarantine::open(folder.path()).held().len(), 20);
    }

    #[test]
    fn crashes_count_over_a_return_that_did_not_come_about() {
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::open(folder.path());
        quarantine.crashed(&report("aa11"), 2);
        quarantine.returned("demo@1.0.0", "aa11", "it had faults".to_owned());
        assert!(quarantine.holds("aa11").is_some());
        quarantine.take_again("aa11");
        assert!(quarantine.holds("aa11").is_none());
        quarantine.crashed(&report("aa11"), 2);
        assert!(quarantine.holds("aa11").is_some());
    }

    #[test]
    fn what_nobody_did_is_nobodys_crash() {
        let folder = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::open(folder.path());
        quarantine.crashed(&Report::default(), 1);
        assert!(quarantine.held().is_empty());
    }
}
