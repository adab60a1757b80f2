//! The files that served before those of the folder, taken while one of these is in quarantine.

use std::path::PathBuf;

use super::Folder;
use super::known::{Known, Seen};
use crate::config::ready::Permissions;
use crate::plugin::catalog::Catalog;
use crate::plugin::scan;

/// The folder within the state folder where the files lie that served before those of the plugins folder.
pub const PREVIOUS: &str = "previous";

impl Folder {
    /// Says where files lie that served before those of the folder, for the time when one of these is in quarantine.
    pub fn fall_back_to(&mut self, previous: PathBuf) {
        self.previous = Some(previous);
    }

    /// Looks at the files that served before, of the plugins of which a file is in quarantine.
    pub(super) async fn fall_back(&mut self, catalog: &mut Catalog, permissions: Permissions) {
        let is_held = |known: &Known| matches!(known.seen, Seen::Held(..));
        let Some(previous) = self
            .previous
            .as_ref()
            .filter(|_| self.known.values().any(is_held))
        else {
            self.fallen_back.clear();
            return;
        };
        // There is no such folder before the first swap.
        let Ok(scan) = scan::scan(previous, permissions) else {
            return;
        };
        let paths: Vec<&PathBuf> = scan.entries.iter().map(|entry| &entry.path).collect();
        self.fallen_back.retain(|path, _| paths.contains(&path));
        for entry in scan.entries {
            let (path, file) = (entry.path.clone(), entry.file);
            if self
                .fallen_back
                .get(&path)
                .is_some_and(|(known, _)| *known == file)
            {
                continue;
            }
            match catalog.admit(entry).await {
                Ok(fit) => {
                    self.fallen_back.insert(path, (file, fit));
                }
                Err(refusal) => {
                    tracing::warn!(target: "control", "a file that served before cannot be taken: {refusal}");
                }
            }
        }
        let known = &self.known;
        self.fallen_back.retain(|_, (_, fit)| {
            let id = &fit.inspected.descriptor.id;
            known.values().any(|known| matches!(&known.seen, Seen::Held(held, _) if held.inspected.descriptor.id == *id))
        });
    }
}
