//! Files that the configuration names beside plugins: certificates, keys, authorities. When they change, what was made of
//! them is made anew and published; when it cannot be, what serves goes on, and it is tried again after the next change.
//!
//! A key is often written a moment before its certificate, or after it. So files are read when all of them have come to
//! rest, and a pair that does not fit yet is said once and does no harm.

use std::time::{Duration, SystemTime};

use super::reload::Asked;
use super::{Bound, Control, Trigger, texts};
use crate::config::ConfigError;
use crate::config::ready::Config;
use crate::tls::Material;
use crate::tls::facts::Moment;
use crate::tls::files::{Files, Look, Reader};
use crate::tls::sessions::Sessions;

/// What serves of the files, and how they were when they were last looked at.
pub struct Named {
    /// What was made of them.
    pub(super) material: Material,
    sessions: Sessions,
    /// What stands in those that serve.
    served: Files,
    /// As they were when they were last read, for good or not.
    looked: Files,
    /// When what serves was read.
    read: Moment,
    /// Why what was read last does not serve.
    unfit: Vec<String>,
}

/// What a look into the files came to.
pub(super) struct Attempt {
    pub(super) material: Result<Material, Vec<ConfigError>>,
    pub(super) files: Files,
    read: Moment,
}

impl Named {
    /// Reads what a first configuration names.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub fn start(config: &Config) -> Result<Self, Vec<ConfigError>> {
        let mut named = Self {
            material: Material::default(),
            sessions: Sessions::default(),
            served: Files::default(),
            looked: Files::default(),
            read: Moment::now(),
            unfit: Vec::new(),
        };
        let Attempt {
            material,
            files,
            read,
        } = named.try_with(config);
        named.adopt(material?, files, read);
        Ok(named)
    }

    /// Where they lie.
    pub fn paths(&self) -> impl Iterator<Item = &std::path::Path> {
        self.looked.paths()
    }

    /// Reads what a configuration names; changes nothing of what serves.
    pub(super) fn try_with(&mut self, config: &Config) -> Attempt {
        let mut reader = Reader::default();
        let read = Moment::now();
        let material = Material::load(config, &mut reader, &mut self.sessions);
        Attempt {
            material,
            files: reader.files(),
            read,
        }
    }

    /// Those files of an attempt that were read before they had come to rest, with where they lie.
    pub(super) fn unsettled(&self, attempt: &Attempt) -> Option<Files> {
        attempt.files.unsettled(&self.looked, SystemTime::now())
    }

    fn adopt(&mut self, material: Material, files: Files, read: Moment) {
        self.sessions.keep_only(&material.policies());
        self.material = material;
        self.looked = files.clone();
        self.served = files;
        self.read = read;
        self.unfit.clear();
    }

    /// What an operator should know now.
    pub(super) fn warnings(&self) -> Vec<String> {
        let unfit = self.unfit.iter();
        let unfit = unfit.map(|error| format!("what was read before serves on: {error}"));
        unfit.chain(self.material.warnings(Moment::now())).collect()
    }
}

impl Attempt {
    /// Serves from now on.
    pub(super) fn adopt(self, named: &mut Named) {
        if let Ok(material) = self.material {
            named.adopt(material, self.files, self.read);
        }
    }
}

impl Control {
    /// The files that the configuration names, and those of one that waits for them.
    pub fn named_files(&self) -> impl Iterator<Item = &std::path::Path> {
        let pending = self.pending.iter().filter_map(|one| one.files.as_ref());
        self.named
            .looked
            .paths()
            .chain(pending.flat_map(Files::paths))
    }

    /// Looks at the files that the configuration names, and applies what they say. Gives back how long to wait before
    /// looking again, if one has not come to rest.
    pub async fn look_at_files(&mut self) -> Option<Duration> {
        let waiting = self.pending.as_mut().and_then(|one| one.files.as_mut());
        // What serves must not wait for the files of one that waits.
        let wait = match waiting.map(|files| files.look(SystemTime::now())) {
            Some(Look::Moving(left)) => Some(left),
            Some(Look::Changed) => {
                if let Some(pending) = self.pending.take() {
                    self.reconfigure(pending.config, Asked::default()).await;
                }
                None
            }
            Some(Look::Same) | None => None,
        };
        let own = self.look_at_own().await;
        wait.into_iter().chain(own).min()
    }

    async fn look_at_own(&mut self) -> Option<Duration> {
        let due = self.named.material.is_due(self.named.read, Moment::now());
        match self.named.looked.look(SystemTime::now()) {
            Look::Moving(left) => Some(left),
            Look::Same if !due => {
                self.warn();
                None
            }
            Look::Same | Look::Changed => {
                self.reread(due).await;
                None
            }
        }
    }

    /// Reads all files again and publishes what they say, if it is something else or `due`.
    async fn reread(&mut self, due: bool) {
        let attempt = self.named.try_with(&self.config);
        match &attempt.material {
            Err(errors) => {
                let errors = texts(errors);
                self.named.looked = attempt.files;
                if errors != self.named.unfit {
                    self.named.unfit.clone_from(&errors);
                    self.refused(Trigger::Files, &errors);
                }
                self.warn();
            }
            Ok(_) if !due && attempt.files.say_the_same(&self.named.served) => {
                tracing::debug!(target: "control", "files were written anew and say the same");
                self.named.looked = attempt.files;
                self.named.unfit.clear();
                self.warn();
            }
            Ok(material) => {
                let words = replaced(&self.config, &self.named.material, material);
                self.catalog
                    .services()
                    .adopt(&self.config, material, &self.known);
                attempt.adopt(&mut self.named);
                let bound = Bound::default().keeping(
                    &self.config.listeners,
                    (self.catalog.metrics(), &self.named.material),
                );
                let notes = self.board.read(|status| status.notes.clone());
                self.publish(Trigger::Files, bound, &[], words, notes).await;
            }
        }
    }

    /// Says what an operator should know of certificates, each thing once, and shows it.
    pub(super) fn warn(&self) {
        let warnings = self.named.warnings();
        let known = self.board.read(|status| status.warnings.clone());
        if warnings == known {
            return;
        }
        // Why something was refused has been said then.
        let news = warnings.iter().filter(|one| !known.contains(one));
        for warning in news.skip(self.named.unfit.len()) {
            tracing::warn!(target: "control", "{warning}");
        }
        self.board.update(|status| status.warnings = warnings);
    }
}

/// What other files mean, in words.
fn replaced(config: &Config, old: &Material, new: &Material) -> Vec<String> {
    let mut words = Vec::new();
    for listener in &config.listeners {
        let fingerprints = |material: &Material| -> Vec<(String, String)> {
            let server = material.listener(&listener.name);
            let shown = server.iter().flat_map(|server| &server.shown);
            shown
                .map(|one| (one.name(), one.facts.fingerprint.clone()))
                .collect()
        };
        let before = fingerprints(old);
        for (name, fingerprint) in fingerprints(new) {
            if !before.iter().any(|(_, known)| *known == fingerprint) {
                let name = format!("certificate {name} of listener {} replaced", listener.name);
                words.push(name);
            }
        }
    }
    if words.is_empty() {
        words.push("files that the configuration names changed".to_owned());
    }
    words
}
