//! The files that served before those of the plugins folder, one for each plugin, in `<state_dir>/previous`: what a plugin
//! falls back to when the file in the folder is put into quarantine, also after a restart.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::plugin::fit::Fit;

/// Keeps the private copy of a file that was replaced, in place of the one kept before.
///
/// # Errors
/// It cannot be linked or copied.
pub fn keep(folder: &Path, fit: &Fit) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let identity = fit.identity();
    let name = format!(
        "{}@{}-{}.so",
        identity.id, identity.version, identity.digest
    );
    let kept = folder.join(&name);
    if !kept.exists() {
        let aside = folder.join(format!(".{name}"));
        let _ = fs::remove_file(&aside);
        // The same bytes, not a copy: nobody writes to a private copy.
        fs::hard_link(&fit.staged.path, &aside)
            .or_else(|_| fs::copy(&fit.staged.path, &aside).map(drop))?;
        fs::rename(&aside, &kept)?;
    }
    let of_plugin = format!("{}@", identity.id);
    for other in fs::read_dir(folder)?.flatten() {
        let other_name = other.file_name();
        let other_name = other_name.to_string_lossy();
        if other_name.starts_with(&of_plugin) && *other_name != *name {
            let _ = fs::remove_file(other.path());
        }
    }
    Ok(())
}
