//! What the process before left: sockets and small texts, each taken once.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use super::{CONFIG, DEGRADED, Link, PASSED, file_of};
use crate::endpoint::UNIX;
use crate::listener::unix::{self, Identity};
use crate::supervise::kept;
use crate::supervise::wire::{self, Begin, Told};

impl Link {
    /// So many of the sockets that a child before this one kept under a key; listeners that ask for any free port may share
    /// one, and get theirs in their order.
    #[must_use]
    pub fn inherit(&self, key: &str, count: usize) -> Option<Vec<OwnedFd>> {
        let mut inherited = self.inherited();
        let kept = inherited.get_mut(key)?;
        if kept.len() < count {
            return None;
        }
        let sockets = kept.drain(..count).collect();
        if kept.is_empty() {
            inherited.remove(key);
        }
        Some(sockets)
    }

    /// The text of the configuration that a child before this one served.
    #[must_use]
    pub fn served_text(&self) -> Option<String> {
        self.text(CONFIG)
    }

    /// Which file was that of the sockets that were bound at a path. The sockets do not know it.
    #[must_use]
    pub fn bound_file(&self, path: &Path) -> Option<Identity> {
        serde_json::from_str(&self.text(&file_of(path))?).ok()
    }

    /// What could not be served by the process that this one replaces.
    #[must_use]
    pub fn degraded_before(&self) -> Vec<String> {
        let text = self.text(DEGRADED).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// What nobody asked for: listeners that the configuration does not have any more.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        let inherited = self.inherited();
        let others = inherited
            .keys()
            .filter(|key| *key != CONFIG && *key != DEGRADED);
        others.cloned().collect()
    }

    /// Closes those. In an upgrade the process before accepts from them still, and takes away what belongs to them.
    pub fn close_others(&self) {
        let mut inherited = std::mem::take(&mut *self.inherited());
        // Those are the new ones by now.
        inherited.retain(|key, _| key != CONFIG && key != DEGRADED);
        let others: Vec<String> = inherited.into_keys().collect();
        for key in &others {
            if self.supervised {
                self.forget(key);
            }
            if let Some(path) = key.strip_prefix(UNIX).filter(|_| self.replaces().is_none()) {
                unix::remove_dead(Path::new(path));
            }
        }
    }

    /// Sockets that a service manager passed to the parent, with their names.
    #[must_use]
    pub fn passed(&self) -> Vec<(String, OwnedFd)> {
        let mut inherited = self.inherited();
        let passed = inherited.extract_if(|key, _| key.starts_with(PASSED));
        let passed = passed.flat_map(|(key, sockets)| {
            let name = key.strip_prefix(PASSED).unwrap_or_default().to_owned();
            sockets
                .into_iter()
                .map(move |socket| (name.clone(), socket))
        });
        passed.collect()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let kept = self.inherited().remove(key)?.pop()?;
        kept::read(kept).ok()
    }

    pub(super) fn inherited(&self) -> MutexGuard<'_, HashMap<String, Vec<OwnedFd>>> {
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to begin with.
pub(super) fn beginning(socket: &OwnedFd) -> io::Result<(HashMap<String, Vec<OwnedFd>>, Begin)> {
    let mut inherited: HashMap<String, Vec<OwnedFd>> = HashMap::new();
    loop {
        let Some((packet, sockets)) = wire::receive(socket)? else {
            return Err(io::Error::other(
                "the process that started this one is gone",
            ));
        };
        match serde_json::from_slice(&packet)? {
            Told::Hello(hello) => {
                if let Some(refusal) = hello.refusal() {
                    return Err(io::Error::other(refusal));
                }
            }
            Told::Sockets(key) => inherited.entry(key).or_default().extend(sockets),
            Told::Begin(begin) => return Ok((inherited, begin)),
            _ => {}
        }
    }
}
