//! Versions of the plugin `stamp`, and the ways in which people put a new file in the place of an old one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;

/// What the library carries in place of a version; its digits are what a test writes over.
const MARK: &[u8] = b"swapgate-stamp-version:";
/// Digits behind the mark.
const DIGITS: usize = 8;

/// One build of the plugin, told from the others by the value it stamps.
#[derive(Debug)]
pub(crate) struct Version {
    /// The bytes of the library.
    pub(crate) bytes: Vec<u8>,
    /// Their digest, as the admin listener shows it.
    pub(crate) digest: String,
}

impl Version {
    /// The library `bytes` with `number` written over its version.
    pub(crate) fn patched(bytes: &[u8], number: usize) -> Outcome<Self> {
        let mut bytes = bytes.to_vec();
        let places: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at..].starts_with(MARK))
            .map(|at| at + MARK.len())
            .collect();
        if places.is_empty() {
            let mark = String::from_utf8_lossy(MARK);
            return Err(Failure::new(format!(
                "the stamp plugin holds no {mark:?}, so no versions can be made of it"
            )));
        }
        let digits = format!("{number:0DIGITS$}");
        for at in places {
            let place = bytes
                .get_mut(at..at + DIGITS)
                .ok_or_else(|| Failure::new("the stamp plugin is cut off"))?;
            place.copy_from_slice(digits.as_bytes());
        }
        let digest = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self { bytes, digest })
    }
}

/// A way to replace a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Written over, as `cp` does.
    InPlace,
    /// Written aside and renamed, as `mv` does.
    Rename,
    /// Removed and linked again, as cargo does.
    Link,
}

impl Way {
    /// The way of swap number `turn`.
    pub(crate) fn of_turn(turn: usize) -> Self {
        [Self::InPlace, Self::Rename, Self::Link][turn % 3]
    }

    /// Puts `bytes` where `path` is; what has to lie aside for it lies in `folder`.
    pub(crate) fn put(self, folder: &Folder, path: &Path, bytes: &[u8]) -> Outcome<()> {
        self.try_put(&folder.file("next"), path, bytes)
            .context(format_args!(
                "{} cannot be replaced ({self:?})",
                path.display()
            ))
    }

    fn try_put(self, aside: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        if let Self::InPlace = self {
            return fs::write(path, bytes);
        }
        fs::write(aside, bytes)?;
        fs::set_permissions(aside, fs::Permissions::from_mode(0o755))?;
        if let Self::Rename = self {
            return fs::rename(aside, path);
        }
        fs::remove_file(path)?;
        fs::hard_link(aside, path)?;
        // The other name goes, so that the next swap does not write into a file the gateway watches.
        fs::remove_file(aside)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn every_mark_is_written_over() {
        let library = b"..swapgate-stamp-version:00000000..swapgate-stamp-version:00000000.";
        let version = Version::patched(library, 42).unwrap();
        assert_eq!(
            version.bytes,
            b"..swapgate-stamp-version:00000042..swapgate-stamp-version:00000042."
        );
        assert_eq!(version.digest.len(), 64);
        assert!(Version::patched(b"something else", 1).is_err());
        assert!(Version::patched(b"swapgate-stamp-version:0", 1).is_err());
    }
}
