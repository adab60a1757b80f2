//! One loaded copy of a plugin file.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use crate::fault::label::ImageIdentity;
use crate::plugin::instance::RetiredInstance;
use crate::plugin::library::Loaded;

/// SHA-256 of a plugin file; what makes two files the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which of the two doors a plugin is entered through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The symbol `sg_plugin_entry`.
    C,
    /// The header of `abi_stable`.
    Rust,
}

/// What makes two images the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// The bytes.
    pub digest: Digest,
    /// The door they are entered through.
    pub door: Door,
}

/// An image in use: entered and loaded. Its instances hold it; the last one to go sends it back to the catalog.
pub struct Image {
    identity: Arc<ImageIdentity>,
    /// Always there until `drop` takes it.
    loaded: Option<Arc<Loaded>>,
    retired: UnboundedSender<Retired>,
}

impl Image {
    pub(super) fn new(loaded: Arc<Loaded>, retired: UnboundedSender<Retired>) -> Arc<Self> {
        let mapped = Arc::clone(loaded.mapped());
        let image = Arc::new(Self {
            identity: Arc::clone(mapped.identity()),
            loaded: Some(loaded),
            retired,
        });
        mapped.belongs_to(&image);
        image
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Arc<ImageIdentity> {
        &self.identity
    }

    pub(super) fn loaded(&self) -> Option<&Arc<Loaded>> {
        self.loaded.as_ref()
    }

    pub(super) fn retired(&self) -> &UnboundedSender<Retired> {
        &self.retired
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let Some(loaded) = self.loaded.take() else {
            return;
        };
        // This may be a worker thread: no foreign code runs here, the image is only handed back. If nobody listens
        // any more the process is ending, and dropping `Loaded` leaves the library mapped.
        let _ = self.retired.send(Retired::Image(loaded));
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}@{})", self.identity.id, self.identity.version)
    }
}

/// What nobody uses any more.
#[derive(Debug)]
pub enum Retired {
    /// An instance; `destroy` is next.
    Instance(RetiredInstance),
    /// An image whose instances are all gone; `unload` is next.
    Image(Arc<Loaded>),
}
