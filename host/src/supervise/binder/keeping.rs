//! What is kept for the process that comes after this one: by the process that supervises this one, or here.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::{Binder, NOT_OURS, key};
use crate::endpoint::Endpoint;
use crate::listener::unix::Identity;
use crate::socket::listening::Listening;
use crate::supervise::kept::{self, Kept};
use crate::supervise::link::{CONFIG, DEGRADED, file_of};

impl Binder {
    /// Has the parent keep copies of the sockets of a listener that were bound here.
    pub fn keep<'a>(&self, address: &Endpoint, sockets: impl Iterator<Item = &'a Listening>) {
        self.keep_under(&key(address), sockets);
        let Endpoint::Unix(path) = address else {
            return;
        };
        let bound = self.files.identity(path);
        let passed = || self.passed.is_for(address).then_some(NOT_OURS);
        if let Some(file) = bound.or_else(passed) {
            self.keep_file(path, file);
        }
    }

    /// Keeps the text of the configuration that serves now, for the case that the file is wrong when a process after a crash
    /// starts: as the file says it, without what its references lead to.
    pub fn keep_text(&self, text: &str) {
        if let Some(link) = self.parent()
            && let Err(error) = link.keep_text(CONFIG.to_owned(), text)
        {
            tracing::warn!(target: "control", %error, "the supervising process cannot keep the configuration; after a crash the file must be right");
        }
    }

    /// Keeps that text for the last time: this process gives up privileges that the next one begins with, so that what it
    /// serves later has no say in what that one does.
    ///
    /// # Errors
    /// The supervising process is gone.
    pub fn keep_last_text(&self, text: &str) -> io::Result<()> {
        let Some(link) = self.parent() else {
            return Ok(());
        };
        self.keep_text(text);
        link.drops()
    }

    /// Keeps what cannot be served now: a process that takes over must not serve less.
    pub fn keep_degraded(&self, degraded: &[String]) {
        let text = serde_json::json!(degraded).to_string();
        let kept = match self.parent() {
            Some(link) => link.keep_text(DEGRADED.to_owned(), &text),
            None => self.keep_own_text(DEGRADED.to_owned(), &text),
        };
        if let Err(error) = kept {
            tracing::debug!(target: "control", %error, "an upgrade goes by what can be served now");
        }
    }

    /// Says how long a process that takes over may need to be ready.
    pub fn keep_limit(&self, limit: Duration) {
        if let Some(link) = self.parent() {
            link.keep_limit(limit);
        }
    }

    /// What the next process gets from this one.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn copies(&self) -> io::Result<Kept> {
        self.own().try_clone()
    }

    pub(super) fn keep_under<'a, S: AsFd + 'a>(
        &self,
        key: &str,
        sockets: impl Iterator<Item = &'a S>,
    ) {
        let kept = match self.parent() {
            Some(link) => link.keep(key, sockets),
            None => self.keep_own(key, sockets),
        };
        if let Err(error) = kept {
            tracing::warn!(target: "control", %error, "no copy can be kept of the sockets of {key}; after a crash or an upgrade they are bound anew");
        }
    }

    fn keep_own<'a, S: AsFd + 'a>(
        &self,
        key: &str,
        sockets: impl Iterator<Item = &'a S>,
    ) -> io::Result<()> {
        let copies = sockets.map(|socket| socket.as_fd().try_clone_to_owned());
        let copies = copies.collect::<io::Result<_>>()?;
        self.own().add(key.to_owned(), copies);
        Ok(())
    }

    fn keep_own_text(&self, key: String, text: &str) -> io::Result<()> {
        self.own().replace(key, vec![kept::text(text)?]);
        Ok(())
    }

    pub(super) fn keep_file(&self, path: &Path, file: Identity) {
        if let Some(link) = self.parent() {
            return link.keep_bound_file(path, file);
        }
        let text = serde_json::json!(file).to_string();
        if let Err(error) = self.keep_own_text(file_of(path), &text) {
            let path = path.display();
            tracing::debug!(target: "control", %error, "after an upgrade any socket at {path} is taken for the own one");
        }
    }
}
