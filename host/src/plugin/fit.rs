//! A plugin file that was staged and inspected: fit to be tried.

use std::sync::Arc;

use crate::fault::label::ImageIdentity;
use crate::plugin::image::{Digest, Door, ImageKey};
use crate::plugin::inspect::{Inspected, Target, inspect};
use crate::plugin::refusal::{Reason, Refusal, Step};
use crate::plugin::stage::Staged;

/// A private copy of which the file says that it is a plugin for this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The copy.
    pub staged: Staged,
    /// What the file says.
    pub inspected: Inspected,
    /// The door it will be entered through.
    pub door: Door,
}

impl Fit {
    /// Inspects a copy. It will be entered through the Rust door where it has one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn inspect(staged: Staged) -> Result<Self, Refusal> {
        let shown = Arc::clone(&staged.shown);
        let refuse = |reason| Refusal::new(Step::Inspect, Arc::clone(&shown), reason);
        let bytes = std::fs::read(&staged.path).map_err(|error| {
            refuse(Reason::Io {
                action: "read the copy".to_owned(),
                error: error.to_string(),
            })
        })?;
        let inspected = inspect(&bytes, Target::HERE).map_err(refuse)?;
        let door = if inspected.rust_door {
            Door::Rust
        } else {
            Door::C
        };
        Ok(Self {
            staged,
            inspected,
            door,
        })
    }

    /// The same, to be entered through another door.
    #[must_use]
    pub fn through(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.staged.digest
    }

    /// What makes an image of it the same as another one.
    #[must_use]
    pub fn key(&self) -> ImageKey {
        ImageKey {
            digest: self.staged.digest,
            door: self.door,
        }
    }

    /// Who an image of it is.
    #[must_use]
    pub fn identity(&self) -> ImageIdentity {
        ImageIdentity {
            id: self.inspected.descriptor.id.clone(),
            version: self.inspected.descriptor.version.to_string(),
            digest: self.staged.digest.to_string(),
        }
    }

    /// A refusal of its file.
    #[must_use]
    pub fn refuse(&self, step: Step, reason: Reason) -> Refusal {
        Refusal::new(step, Arc::clone(&self.staged.shown), reason)
    }
}
