//! The files of the Unix sockets: whose they are, and when they go.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listener::unix::{self, File, Identity};

/// The files of Unix sockets that this process bound or was handed over. What is left of its own goes with the last holder:
/// a process that crashes has no time for that, and the next one goes on with them. One that was handed over goes on purpose
/// only, because a process that cannot start may be followed by one that can.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<HashMap<Arc<Path>, Remembered>>);

#[derive(Debug)]
struct Remembered {
    file: File,
    /// This process bound it.
    own: bool,
}

impl Files {
    pub(super) fn remember(&self, path: &Arc<Path>, file: File, own: bool) {
        let remembered = Remembered { file, own };
        self.lock().insert(Arc::clone(path), remembered);
    }

    /// Which file it is that lies at a path, if it is known.
    pub(super) fn identity(&self, path: &Path) -> Option<Identity> {
        self.lock().get(path).map(|one| one.file.identity())
    }

    pub(super) fn remove(&self, path: &Path) {
        if let Some(one) = self.lock().remove(path) {
            one.file.remove();
        }
    }

    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    pub(super) fn remove_all(&self) {
        self.lock().drain().for_each(|(_, one)| one.file.remove());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<Path>, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.lock().retain(|_, one| one.own);
            self.remove_all();
        }
    }
}

/// The file of sockets that were handed over, if it is the one that lies there.
pub(super) fn still_there(path: &Path, bound: Option<Identity>) -> Option<File> {
    let file = File::of(path).filter(|_| unix::is_there(path))?;
    // Where nobody could say which file it was, any socket has to do.
    let same = bound.is_none_or(|bound| bound == file.identity());
    same.then_some(file)
}
